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
}
