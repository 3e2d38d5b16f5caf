package dev.dcgan.sampler.scheduling;

import java.time.Duration;

/**
 * How images are batched, and how many may be queued.
 *
 * @param maxBatch images per run, 1 to {@value #MAX_BATCH}
 * @param maxDelay how long an image may wait for others to join its batch; zero: it never waits
 * @param maxQueueImages images that may be queued, at least 1
 */
public record BatchingPolicy(int maxBatch, Duration maxDelay, int maxQueueImages) {

  public static final int MAX_BATCH = 4096;

  private static final long ALPHA = 3;

  public BatchingPolicy {
    if (maxBatch < 1 || maxBatch > MAX_BATCH) {
      throw new IllegalArgumentException(
          "cannot run batches of %d images: expected 1 to %d".formatted(maxBatch, MAX_BATCH));
    }
    if (maxDelay.isNegative()) {
      throw new IllegalArgumentException(
          "cannot delay batches by %s: expected 0 or more".formatted(maxDelay));
    }
    if (maxQueueImages < 1) {
      throw new IllegalArgumentException(
          "cannot queue %d images: expected 1 or more".formatted(maxQueueImages));
    }
  }

  /**
   * Whether a caller may queue more images: at most three times as many as stay free then. So n
   * callers that flood get 3/(3n+1) of the queue each, and there is always room for another one
   * (Choudhury and Hahne 1998, <i>Dynamic queue length thresholds for shared-memory packet
   * switches</i>, with alpha 3). A single image is queued as long as there is room for it.
   *
   * @param queued images of the caller that are queued
   * @param free images for which there is room
   */
  boolean hasRoom(int images, int queued, int free) {
    return images <= free && queued + images <= Math.max(1L, ALPHA * (free - images));
  }

  /** The most images that one caller can queue. */
  public int maxImagesOfCaller() {
    return (int) Math.max(1, ALPHA * maxQueueImages / (ALPHA + 1));
  }
}
