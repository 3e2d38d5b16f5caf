package dev.dcgan.sampler.scheduling;

import java.util.Arrays;
import java.util.function.LongSupplier;

/**
 * How long a network takes for batches of some sizes, and what follows from it for the size of a
 * batch. Immutable.
 *
 * <p>On a CPU a run of 32 is hardly cheaper an image than a run of one; on a GPU it may cost no
 * more than the run of one. Nothing here knows which it is: it is measured.
 *
 * <p>A network either runs batches of any size, whose times are interpolated, or only batches of
 * fixed sizes, the buckets. A smaller batch is then padded to the next bucket and takes that
 * bucket's time.
 */
public final class LatencyProfile {

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

  /** Nanoseconds for n images, run one after another in the best cuts; empty without buckets. */
  private final long[] inCuts;

  private LatencyProfile(int[] sizes, long[] nanos, boolean buckets) {
    this.sizes = sizes;
    this.nanos = nanos;
    this.best = best(sizes, nanos);
    this.inCuts = buckets ? inCuts(sizes, nanos) : new long[0];
  }

  /**
   * Times as they were measured.
   *
   * @param sizes images a batch, ascending, the first 1
   * @param nanos of each, above 0
   */
  public static LatencyProfile of(int[] sizes, long[] nanos) {
    return new LatencyProfile(sizes.clone(), nanos.clone(), false);
  }

  /**
   * Times of a network that runs batches of these sizes only.
   *
   * @param sizes images a batch, ascending
   * @param nanos of each, above 0
   */
  public static LatencyProfile ofBuckets(int[] sizes, long[] nanos) {
    return new LatencyProfile(sizes.clone(), nanos.clone(), true);
  }

  /**
   * Runs batches of 1, 2, 4 and so on images until an image gets no cheaper; then all those again,
   * in turn, so that a moment in which the machine is busy spoils none of them. Each runs several
   * times in a row, since after a larger one the weights must come from memory again; the fastest
   * counts.
   */
  public static LatencyProfile measure(Network network, int maxBatch, LongSupplier nanoClock) {
    long start = nanoClock.getAsLong();
    int[] sizes = new int[Integer.SIZE];
    long[] nanos = new long[Integer.SIZE];
    int measured = 0;
    double cheapest = Double.MAX_VALUE;
    int noCheaper = 0;
    for (int size = 1; size <= maxBatch && noCheaper < 2; size = next(size, maxBatch)) {
      sizes[measured] = size;
      nanos[measured] = fastest(network, size, nanoClock);
      double each = (double) nanos[measured++] / size;
      noCheaper = isCheaper(each, cheapest) ? 0 : noCheaper + 1;
      cheapest = Math.min(cheapest, each);
    }
    for (int round = 0;
        round < MOST_ROUNDS && nanoClock.getAsLong() - start < LONG_ENOUGH_NANOS;
        round++) {
      for (int i = 0; i < measured; i++) {
        nanos[i] = Math.min(nanos[i], fastest(network, sizes[i], nanoClock));
      }
    }
    return of(Arrays.copyOf(sizes, measured), Arrays.copyOf(nanos, measured));
  }

  /** The smallest batch in which an image is about as cheap as it gets. */
  public int best() {
    return best;
  }

  /** Whether the network runs batches of the measured sizes only. */
  public boolean hasBuckets() {
    return inCuts.length > 0;
  }

  /** Images in the batches that were measured, ascending. */
  public int[] sizes() {
    return sizes.clone();
  }

  /** Images in the largest batch that was measured. */
  public int largest() {
    return sizes[sizes.length - 1];
  }

  /**
   * What a run of n images takes: with buckets the time of the bucket that n is padded to, else
   * between sizes that were measured in proportion. Above the largest bucket it takes several runs.
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
          : n / largest() * nanos[above - 1] + (n % largest() == 0 ? 0 : nanos(n % largest()));
    }
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
   * <p>Between two buckets a batch is either padded to the larger or cut to the smaller, and the
   * rest is left for the next run: whichever is estimated to finish all of them sooner.
   *
   * @param most at most so many
   */
  int size(int queued, int sessions, int most) {
    int together = Math.min(queued, hasBuckets() ? Math.min(most, largest()) : most);
    int apart = Math.min(together, (queued + sessions - 1) / sessions);
    if (!hasBuckets()) {
      return nanos(apart) < WORTH_SPLITTING * nanos(together) ? apart : together;
    }
    return inCuts[apart] < WORTH_SPLITTING * inCuts[together]
        ? cut(apart, together)
        : cut(together, together);
  }

  /** Images of the next run, for n of those available; a padded run takes more for no more time. */
  private int cut(int n, int available) {
    int bucket = ceiling(sizes, n);
    return inCuts[n] < nanos[bucket] ? sizes[bucket - 1] : Math.min(available, sizes[bucket]);
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

  /** Whether the time of an image is so much less that a larger batch is worth its delay. */
  static boolean isCheaper(double nanosPerImage, double cheapest) {
    return nanosPerImage < WORTH_IT * cheapest;
  }

  /** The smallest of these sizes in which an image is about as cheap as in any. */
  static int best(int[] sizes, long[] nanos) {
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

  private static long[] inCuts(int[] sizes, long[] nanos) {
    long[] inCuts = new long[sizes[sizes.length - 1] + 1];
    for (int n = 1; n < inCuts.length; n++) {
      int bucket = ceiling(sizes, n);
      inCuts[n] = nanos[bucket];
      if (bucket > 0) {
        inCuts[n] = Math.min(inCuts[n], nanos[bucket - 1] + inCuts[n - sizes[bucket - 1]]);
      }
    }
    return inCuts;
  }

  /** Index of the smallest size that holds n images. */
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
    for (int i = 0; i < IN_A_ROW; i++) {
      long start = nanoClock.getAsLong();
      network.generate(latents, Output.PIXELS);
      fastest = Math.min(fastest, Math.max(1, nanoClock.getAsLong() - start));
    }
    return fastest;
  }
}
