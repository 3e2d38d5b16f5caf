package dev.dcgan.sampler.scheduling;

import java.util.List;

/** A generator as a batcher sees it: latents in, images out. Used by one thread at a time. */
public interface Network extends AutoCloseable {

  /** Floats in one latent. */
  int latentSize();

  /** Bytes in one image of the given form. */
  int imageBytes(Output output);

  /** Images that a run of n computes: n, or more where the network knows only some sizes. */
  default int padded(int n) {
    return n;
  }

  /**
   * Makes the images of all slices in one run.
   *
   * @throws IllegalStateException the runtime failed; no slice has its images
   */
  void run(List<BatchSlice> batch);

  /** Makes the images of some latents by themselves: {@code latents} is (n, latentSize). */
  default Images generate(float[] latents, Output output) {
    ImageTask job =
        new ImageTask(new QueuedRequest(Priority.NORMAL, false, 0, 0, 0), this, latents, output, Runnable::run);
    run(List.of(new BatchSlice(job, 0, job.count)));
    return job.images();
  }

  @Override
  void close();
}
