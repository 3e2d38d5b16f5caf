package dev.dcgan.sampler.scheduling;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;

/** Images [first, first + count) of one task: its share of a batch. */
public record BatchSlice(ImageTask task, int first, int count) {

  public Output output() {
    return task.output;
  }

  /** Puts the latents (count, latentSize) at the buffer's position and advances it. */
  public void putLatents(FloatBuffer z) {
    z.put(task.latents, first * task.latentSize, count * task.latentSize);
  }

  /** Puts the labels (count) at the buffer's position and advances it; 0 where there are none. */
  public void putLabels(LongBuffer label) {
    if (task.labels.length > 0) {
      label.put(task.labels, first, count);
      return;
    }
    for (int i = 0; i < count; i++) {
      label.put(0);
    }
  }

  /** Takes the images from the buffer's position and advances it. */
  public void takeImages(ByteBuffer images) {
    images.get(task.result(), first * task.imageBytes, count * task.imageBytes);
  }
}
