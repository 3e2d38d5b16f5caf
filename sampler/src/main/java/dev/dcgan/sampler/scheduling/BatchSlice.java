package dev.dcgan.sampler.scheduling;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;

/** Images [first, first + count) of one task: its share of a batch. */
public record BatchSlice(ImageTask task, int first, int count) {

  public Output output() {
    return task.output;
  }

  /** Puts the latents (count, latentSize) at the buffer's position and advances it. */
  public void putLatents(FloatBuffer z) {
    z.put(task.latents, first * task.latentSize, count * task.latentSize);
  }

  /** Takes the images from the buffer's position and advances it. */
  public void takeImages(ByteBuffer images) {
    images.get(task.result(), first * task.imageBytes, count * task.imageBytes);
  }
}
