package dev.dcgan.sampler.scheduling;

import java.util.Arrays;
import java.util.function.LongSupplier;

/**
 * The measured latency of a network by batch size, and the batch sizes that follow from it.
 * Immutable.
 *
 * <p>Batching saves little on a CPU; on a GPU a run of 32 images may take no longer than a run of
 * one. Nothing here knows which of the two it is: the latency is measured.
 *
 * <p>A network runs either batches of any size, whose latency is interpolated, or batches of fixed
 * sizes only, the buckets. A smaller batch is then padded to the next bucket and has that bucket's
 * latency.
 */
public final class LatencyProfile {

  // A larger batch is worth its delay if an image takes less than this share of the time.
  private static final double WORTH_BATCHING = 0.95;
  // A split over sessions is worth it if a part takes less than this share of the whole.
  private static final double WORTH_SPLITTING = 0.8;
  // After so many larger sizes without a gain none is expected.
  static final int MAX_SIZES_WITHOUT_GAIN = 2;
  private static final int RUNS_IN_A_ROW = 3;
  private static final int MAX_ROUNDS = 5;
  private static final long MAX_MEASURING_NANOS = 500_000_000;

  private final int[] sizes;
  private final long[] nanos;
  private final int optimalBatchSize;

  /** Nanoseconds for n images, split optimally over buckets in sequence; empty without buckets. */
  private final long[] splitNanos;

  private LatencyProfile(int[] sizes, long[] nanos, boolean buckets) {
    this.sizes = sizes;
    this.nanos = nanos;
    this.optimalBatchSize = optimalBatchSize(sizes, nanos);
    this.splitNanos = buckets ? splitNanos(sizes, nanos) : new long[0];
  }

  /**
   * The profile of a network that runs batches of any size.
   *
   * @param sizes measured batch sizes, ascending from 1
   * @param nanos latency of each, above 0
   */
  public static LatencyProfile of(int[] sizes, long[] nanos) {
    return new LatencyProfile(sizes.clone(), nanos.clone(), false);
  }

  /**
   * The profile of a network that runs batches of these sizes only.
   *
   * @param sizes buckets, ascending
   * @param nanos latency of each, above 0
   */
  public static LatencyProfile ofBuckets(int[] sizes, long[] nanos) {
    return new LatencyProfile(sizes.clone(), nanos.clone(), true);
  }

  /**
   * Measures batches of 1, 2, 4 and so on images until an image gets no cheaper. Then all sizes are
   * measured again in turn, so that a moment in which the machine is busy distorts none of them.
   * Each size runs several times in a row, because after a larger one the weights are no longer
   * cached; the fastest run counts.
   */
  public static LatencyProfile measure(Network network, int maxBatch, LongSupplier nanoClock) {
    long start = nanoClock.getAsLong();
    int[] sizes = new int[Integer.SIZE];
    long[] nanos = new long[Integer.SIZE];
    int measured = 0;
    double cheapest = Double.MAX_VALUE;
    int withoutGain = 0;
    for (int size = 1;
        size <= maxBatch && withoutGain < MAX_SIZES_WITHOUT_GAIN;
        size = next(size, maxBatch)) {
      sizes[measured] = size;
      nanos[measured] = fastest(network, size, nanoClock);
      double each = (double) nanos[measured++] / size;
      withoutGain = isCheaper(each, cheapest) ? 0 : withoutGain + 1;
      cheapest = Math.min(cheapest, each);
    }
    for (int round = 0;
        round < MAX_ROUNDS && nanoClock.getAsLong() - start < MAX_MEASURING_NANOS;
        round++) {
      for (int i = 0; i < measured; i++) {
        nanos[i] = Math.min(nanos[i], fastest(network, sizes[i], nanoClock));
      }
    }
    return of(Arrays.copyOf(sizes, measured), Arrays.copyOf(nanos, measured));
  }

  /** The smallest batch size at which an image is about as cheap as it gets. */
  public int optimalBatchSize() {
    return optimalBatchSize;
  }

  /** Whether the network runs the measured batch sizes only. */
  public boolean hasBuckets() {
    return splitNanos.length > 0;
  }

  /** The measured batch sizes, ascending. */
  public int[] sizes() {
    return sizes.clone();
  }

  /** The largest measured batch size. */
  public int maxSize() {
    return sizes[sizes.length - 1];
  }

  /**
   * The latency of n images in nanoseconds: with buckets the latency of the bucket that n is padded
   * to, otherwise interpolated. Above the largest bucket n images take several runs.
   */
  public long nanos(int n) {
    int i = Arrays.binarySearch(sizes, n);
    if (i >= 0) {
      return nanos[i];
    }
    int above = -i - 1;
    if (hasBuckets()) {
      return above < sizes.length
          ? nanos[above]
          : n / maxSize() * nanos[above - 1] + (n % maxSize() == 0 ? 0 : nanos(n % maxSize()));
    }
    if (above == sizes.length) {
      return (long) ((double) nanos[above - 1] * n / sizes[above - 1]);
    }
    double share = (double) (n - sizes[above - 1]) / (sizes[above] - sizes[above - 1]);
    return nanos[above - 1] + (long) (share * (nanos[above] - nanos[above - 1]));
  }

  /** Nanoseconds saved if one more image joins a run of n instead of running alone; 0 or more. */
  long savingFromWaiting(int n) {
    return Math.max(0, nanos(n) + nanos[0] - nanos(n + 1));
  }

  /**
   * How many of the queued images a session should run: all, or an equal share that leaves the rest
   * to the other sessions, if that finishes sooner. So there is work left while the responses of
   * one batch are sent.
   *
   * <p>Between two buckets a batch is either padded to the larger one or cut to the smaller one,
   * with the rest left for the next run: whichever is estimated to finish all images sooner.
   *
   * @param limit the largest batch size allowed
   */
  int batchSize(int queued, int sessions, int limit) {
    int all = Math.min(queued, hasBuckets() ? Math.min(limit, maxSize()) : limit);
    int share = Math.min(all, (queued + sessions - 1) / sessions);
    if (!hasBuckets()) {
      return nanos(share) < WORTH_SPLITTING * nanos(all) ? share : all;
    }
    return splitNanos[share] < WORTH_SPLITTING * splitNanos[all]
        ? padOrCut(share, all)
        : padOrCut(all, all);
  }

  /** The next run's size for n of the available images; a padded run has room for more of them. */
  private int padOrCut(int n, int available) {
    int bucket = ceiling(sizes, n);
    return splitNanos[n] < nanos[bucket] ? sizes[bucket - 1] : Math.min(available, sizes[bucket]);
  }

  /** For the log: {@code 1: 540 us, 2: 1060 us}. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < sizes.length; i++) {
      text.append("%s%d: %d us".formatted(i == 0 ? "" : ", ", sizes[i], nanos[i] / 1000));
    }
    return text.toString();
  }

  /** Whether an image is so much cheaper that a larger batch is worth its delay. */
  static boolean isCheaper(double nanosPerImage, double cheapest) {
    return nanosPerImage < WORTH_BATCHING * cheapest;
  }

  /** The smallest of these batch sizes at which an image is about as cheap as at any. */
  static int optimalBatchSize(int[] sizes, long[] nanos) {
    double cheapest = Double.MAX_VALUE;
    for (int i = 0; i < sizes.length; i++) {
      cheapest = Math.min(cheapest, (double) nanos[i] / sizes[i]);
    }
    int smallest = 0;
    while (isCheaper(cheapest, (double) nanos[smallest] / sizes[smallest])) {
      smallest++;
    }
    return sizes[smallest];
  }

  private static long[] splitNanos(int[] sizes, long[] nanos) {
    long[] split = new long[sizes[sizes.length - 1] + 1];
    for (int n = 1; n < split.length; n++) {
      int bucket = ceiling(sizes, n);
      split[n] = nanos[bucket];
      if (bucket > 0) {
        split[n] = Math.min(split[n], nanos[bucket - 1] + split[n - sizes[bucket - 1]]);
      }
    }
    return split;
  }

  /** The index of the smallest size that holds n images. */
  private static int ceiling(int[] sizes, int n) {
    int i = Arrays.binarySearch(sizes, n);
    return i >= 0 ? i : -i - 1;
  }

  private static int next(int size, int maxBatch) {
    return size < maxBatch ? Math.min(2 * size, maxBatch) : maxBatch + 1;
  }

  private static long fastest(Network network, int size, LongSupplier nanoClock) {
    float[] latents = new float[size * network.latentSize()];
    Arrays.fill(latents, 0.5f);
    long fastest = Long.MAX_VALUE;
    for (int i = 0; i < RUNS_IN_A_ROW; i++) {
      long start = nanoClock.getAsLong();
      network.generate(latents, Output.PIXELS);
      fastest = Math.min(fastest, Math.max(1, nanoClock.getAsLong() - start));
    }
    return fastest;
  }
}
