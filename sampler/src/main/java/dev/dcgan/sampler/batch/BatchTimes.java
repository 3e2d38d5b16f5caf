package dev.dcgan.sampler.batch;

import java.util.Arrays;
import java.util.function.LongSupplier;

/**
 * How long a network takes for batches of some sizes, and what follows from it for the size of a
 * batch. Immutable.
 *
 * <p>On a CPU a run of 32 is hardly cheaper an image than a run of one; on a GPU it may cost no
 * more than the run of one. Nothing here knows which it is: it is measured.
 */
public final class BatchTimes {

  // A larger batch must make an image cheaper by more than this to be worth its delay.
  private static final double WORTH_IT = 0.95;
  // Two runs at once must each end so much sooner than one of both would.
  private static final double WORTH_SPLITTING = 0.8;
  private static final int IN_A_ROW = 3;
  private static final int MOST_ROUNDS = 5;
  private static final long LONG_ENOUGH_NANOS = 500_000_000;

  private final int[] sizes;
  private final long[] nanos;
  private final int best;

  private BatchTimes(int[] sizes, long[] nanos) {
    this.sizes = sizes;
    this.nanos = nanos;
    double cheapest = Double.MAX_VALUE;
    for (int i = 0; i < sizes.length; i++) {
      cheapest = Math.min(cheapest, (double) nanos[i] / sizes[i]);
    }
    int smallest = 0;
    while (cheapest < WORTH_IT * nanos[smallest] / sizes[smallest]) {
      smallest++;
    }
    this.best = sizes[smallest];
  }

  /**
   * Times as they were measured.
   *
   * @param sizes images a batch, ascending, the first 1
   * @param nanos of each, above 0
   */
  public static BatchTimes of(int[] sizes, long[] nanos) {
    return new BatchTimes(sizes.clone(), nanos.clone());
  }

  /**
   * Runs batches of 1, 2, 4 and so on images until an image gets no cheaper; then all those again,
   * in turn, so that a moment in which the machine is busy spoils none of them. Each runs several
   * times in a row, since after a larger one the weights must come from memory again; the fastest
   * counts.
   *
   * @param all go on to {@code maxBatch} in any case: every size is to be warmed
   */
  public static BatchTimes measure(
      Network network, int maxBatch, boolean all, LongSupplier nanoClock) {
    long start = nanoClock.getAsLong();
    int[] sizes = new int[Integer.SIZE];
    long[] nanos = new long[Integer.SIZE];
    int measured = 0;
    double cheapest = Double.MAX_VALUE;
    int noCheaper = 0;
    for (int size = 1; size <= maxBatch && (all || noCheaper < 2); size = next(size, maxBatch)) {
      sizes[measured] = size;
      nanos[measured] = fastest(network, size, nanoClock);
      double each = (double) nanos[measured++] / size;
      noCheaper = each < WORTH_IT * cheapest ? 0 : noCheaper + 1;
      cheapest = Math.min(cheapest, each);
    }
    for (int round = 0;
        round < MOST_ROUNDS && nanoClock.getAsLong() - start < LONG_ENOUGH_NANOS;
        round++) {
      for (int i = 0; i < measured; i++) {
        nanos[i] = Math.min(nanos[i], fastest(network, sizes[i], nanoClock));
      }
    }
    return new BatchTimes(Arrays.copyOf(sizes, measured), Arrays.copyOf(nanos, measured));
  }

  /** The smallest batch in which an image is about as cheap as it gets. */
  public int best() {
    return best;
  }

  /** What a run of n images takes; between sizes that were measured in proportion. */
  public long nanos(int n) {
    int i = Arrays.binarySearch(sizes, n);
    if (i >= 0) {
      return nanos[i];
    }
    int above = -i - 1;
    if (above == sizes.length) {
      return (long) ((double) nanos[above - 1] * n / sizes[above - 1]);
    }
    double share = (double) (n - sizes[above - 1]) / (sizes[above] - sizes[above - 1]);
    return nanos[above - 1] + (long) (share * (nanos[above] - nanos[above - 1]));
  }

  /** What is saved where one more image joins a run of n instead of having its own; 0 or more. */
  long saved(int n) {
    return Math.max(0, nanos(n) + nanos[0] - nanos(n + 1));
  }

  /**
   * How many of the images that wait a session should run: all, or a share that leaves as many to
   * each of the others, where that ends sooner. So there is work left while the answers of one
   * batch are on their way.
   *
   * @param most at most so many
   */
  int size(int queued, int sessions, int most) {
    int together = Math.min(queued, most);
    int apart = Math.min(together, (queued + sessions - 1) / sessions);
    return nanos(apart) < WORTH_SPLITTING * nanos(together) ? apart : together;
  }

  /** 1: 540 us, 2: 1060 us. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < sizes.length; i++) {
      text.append("%s%d: %d us".formatted(i == 0 ? "" : ", ", sizes[i], nanos[i] / 1000));
    }
    return text.toString();
  }

  private static int next(int size, int maxBatch) {
    return size < maxBatch ? Math.min(2 * size, maxBatch) : maxBatch + 1;
  }

  private static long fastest(Network network, int size, LongSupplier nanoClock) {
    float[] latents = new float[size * network.latentSize()];
    Arrays.fill(latents, 0.5f);
    long fastest = Long.MAX_VALUE;
    for (int i = 0; i < IN_A_ROW; i++) {
      long start = nanoClock.getAsLong();
      network.generate(latents, Output.PIXELS);
      fastest = Math.min(fastest, Math.max(1, nanoClock.getAsLong() - start));
    }
    return fastest;
  }
}
