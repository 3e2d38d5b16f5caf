package dev.dcgan.sampler.scheduling;

import java.time.Duration;

/**
 * How images are joined into batches, and how many may wait.
 *
 * @param maxBatch images that the network runs at once, 1 to 4096
 * @param maxDelay how long an image may wait for company; zero: it never does
 * @param maxQueueImages images that may wait, at least 1
 */
public record BatchingPolicy(int maxBatch, Duration maxDelay, int maxQueueImages) {

  public static final int LARGEST_BATCH = 4096;

  public BatchingPolicy {
    if (maxBatch < 1 || maxBatch > LARGEST_BATCH) {
      throw new IllegalArgumentException(
          "batches of %d images; expected 1 to %d".formatted(maxBatch, LARGEST_BATCH));
    }
    if (maxDelay.isNegative()) {
      throw new IllegalArgumentException("a delay of %s; expected 0 or more".formatted(maxDelay));
    }
    if (maxQueueImages < 1) {
      throw new IllegalArgumentException(
          "a queue of %d images; expected 1 or more".formatted(maxQueueImages));
    }
  }
}
