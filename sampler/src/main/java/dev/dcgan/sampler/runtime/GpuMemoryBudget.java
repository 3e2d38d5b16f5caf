package dev.dcgan.sampler.runtime;

import java.io.IOException;
import java.util.stream.IntStream;

/**
 * Divides the GPU memory that a version may allocate among its sessions. Each session has a copy of
 * the weights. Half of the rest is divided equally, because cuDNN's workspaces hardly depend on the
 * batch size; the other half is divided in proportion to the batch sizes, as activations are. All
 * candidates together stay within the limit, and so do the buckets that are kept.
 */
final class GpuMemoryBudget {

  private final long weights;
  private final long rest;
  private final int buckets;
  private final long images;

  private GpuMemoryBudget(long weights, long rest, int[] buckets) {
    this.weights = weights;
    this.rest = rest;
    this.buckets = buckets.length;
    this.images = IntStream.of(buckets).asLongStream().sum();
  }

  /**
   * The budget of all sessions of a version.
   *
   * @param bytes that they may allocate together; 0: no limit
   * @param weights bytes of the model
   * @param buckets of each lane
   * @throws IOException the weights alone exceed the limit
   */
  static GpuMemoryBudget of(long bytes, long weights, int lanes, int[] buckets) throws IOException {
    long rest = bytes / lanes - weights * buckets.length;
    if (bytes > 0 && rest <= 0) {
      throw new IOException(
          "cannot fit the weights of %d sessions (%d lanes with up to %d batch sizes) into %d MiB of GPU memory; expected more than %d MiB: raise --gpu-memory, or lower --sessions or --max-batch"
              .formatted(
                  lanes * buckets.length,
                  lanes,
                  buckets.length,
                  bytes >> 20,
                  (weights * buckets.length * lanes) >> 20));
    }
    return new GpuMemoryBudget(weights, bytes == 0 ? 0 : rest, buckets);
  }

  /** Bytes for the session of one bucket in one lane; 0: no limit. */
  long limit(int bucket) {
    return rest == 0 ? 0 : weights + rest / 2 / buckets + rest / 2 * bucket / images;
  }
}
