package dev.dcgan.sampler.scheduling;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Images [first, first + count) of one job: its share of a batch. */
public record BatchSlice(ImageTask job, int first, int count) {

  public Output output() {
    return job.output;
  }

  /** Puts the latents (count, latentSize) at the buffer's position, and moves that. */
  public void putLatents(FloatBuffer z) {
    z.put(job.latents, first * job.latentSize, count * job.latentSize);
  }

  /** Takes the images from the buffer's position, and moves that. */
  public void takeImages(ByteBuffer images) {
    images.get(job.result(), first * job.imageBytes, count * job.imageBytes);
  }
}
