package dev.dcgan.sampler.scheduling;

import java.util.List;

/**
 * One session of a generator: latents in, images out. A conditional generator also takes labels.
 * Not thread-safe.
 */
public interface Network extends AutoCloseable {

  /** For a generator that is not conditional; of another one the images have label 0. */
  long[] NO_LABELS = {};

  /** Floats in one latent. */
  int latentSize();

  /** Bytes in one image of the given output. */
  int imageBytes(Output output);

  /** Images that a run of n computes: n, or more where the network runs fixed batch sizes only. */
  default int padded(int n) {
    return n;
  }

  /**
   * Makes the images of all slices in one run.
   *
   * @throws IllegalStateException the runtime failed; no slice has its images
   */
  void run(List<BatchSlice> batch);

  /** As the method below, with {@link #NO_LABELS}. */
  default Images generate(float[] latents, Output output) {
    return generate(latents, NO_LABELS, output);
  }

  /**
   * Makes images without a scheduler, in one run.
   *
   * @param latents (n, latentSize)
   * @param labels (n), or {@link #NO_LABELS}
   */
  default Images generate(float[] latents, long[] labels, Output output) {
    ImageTask task =
        new ImageTask(latents, labels, latentSize(), output, imageBytes(output), Runnable::run);
    run(List.of(new BatchSlice(task, 0, task.count)));
    return task.images();
  }

  @Override
  void close();
}
