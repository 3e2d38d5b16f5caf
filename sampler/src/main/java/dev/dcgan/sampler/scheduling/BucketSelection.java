package dev.dcgan.sampler.scheduling;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.function.LongSupplier;

/**
 * Chooses the few batch sizes, the buckets, that a version has sessions for: candidates are opened
 * and measured in ascending order, and only those that pay are kept.
 *
 * <ul>
 *   <li>A bucket is dropped where a larger one takes hardly longer: padding costs less than another
 *       copy of the weights. So the smallest buckets of a GPU usually collapse into one.
 *   <li>Once an image gets no cheaper, larger candidates are not tried: they would only take longer
 *       and more memory.
 *   <li>Where the device's memory does not hold a candidate, the smaller ones do.
 * </ul>
 */
public final class BucketSelection {

  /** The lanes of one version, which run side by side and have the same buckets. */
  public interface Lanes {

    /** The lanes as networks; each can run batches up to its largest bucket. */
    List<? extends Network> networks();

    /** Adds a bucket to every lane. */
    void open(int bucket) throws IOException;

    /** Closes all buckets but these. */
    void retain(NavigableSet<Integer> buckets);

    /** Whether memory was short where {@link #open} or a run failed so. */
    boolean isOutOfMemory(Exception failure);
  }

  // Padding to a bucket that takes less than this much longer is not worth a session of its own.
  private static final double HARDLY_LONGER = 1.1;

  private BucketSelection() {}

  /** Powers of two up to a size, and that size. Ascending. */
  public static int[] candidates(int maxBatch) {
    List<Integer> sizes = new ArrayList<>();
    for (int size = 1; size < maxBatch; size *= 2) {
      sizes.add(size);
    }
    sizes.add(maxBatch);
    return toArray(sizes);
  }

  /**
   * Leaves the lanes with the buckets that pay, and their times.
   *
   * @param candidates ascending; one alone is always kept
   */
  public static LatencyProfile select(Lanes lanes, int[] candidates, LongSupplier nanoClock)
      throws IOException {
    long[] nanos = new long[candidates.length];
    int measured = 0;
    double cheapest = Double.MAX_VALUE;
    int noCheaper = 0;
    while (measured < candidates.length && noCheaper < 2) {
      int size = candidates[measured];
      try {
        lanes.open(size);
        nanos[measured] = LaneProfiler.measure(lanes.networks(), new int[] {size}, nanoClock)[0];
      } catch (IOException | RuntimeException e) {
        if (measured == 0 || !lanes.isOutOfMemory(e)) {
          throw e;
        }
        break;
      }
      double each = (double) nanos[measured++] / size;
      noCheaper = LatencyProfile.isCheaper(each, cheapest) ? 0 : noCheaper + 1;
      cheapest = Math.min(cheapest, each);
      // At once, so that few copies of the weights are in memory at a time.
      lanes.retain(distinct(candidates, nanos, measured));
    }
    int[] kept = worthwhile(Arrays.copyOf(candidates, measured), Arrays.copyOf(nanos, measured));
    lanes.retain(new TreeSet<>(Arrays.stream(kept).boxed().toList()));
    return LatencyProfile.ofBuckets(kept, LaneProfiler.measure(lanes.networks(), kept, nanoClock));
  }

  /**
   * Which of the sizes are worth a session of their own.
   *
   * @param sizes ascending
   * @param nanos that a run of each takes
   */
  static int[] worthwhile(int[] sizes, long[] nanos) {
    NavigableSet<Integer> distinct = distinct(sizes, nanos, sizes.length);
    Integer largest = distinct.ceiling(LatencyProfile.best(sizes, nanos));
    return toArray(List.copyOf(distinct.headSet(largest, true)));
  }

  /**
   * Of sizes that take about as long as each other the largest. What it is does not change when
   * more sizes follow, except for the last group, which may grow.
   */
  private static NavigableSet<Integer> distinct(int[] sizes, long[] nanos, int count) {
    NavigableSet<Integer> distinct = new TreeSet<>();
    long smallestOfGroup = nanos[0];
    for (int i = 1; i < count; i++) {
      if (nanos[i] >= HARDLY_LONGER * smallestOfGroup) {
        distinct.add(sizes[i - 1]);
        smallestOfGroup = nanos[i];
      }
    }
    distinct.add(sizes[count - 1]);
    return distinct;
  }

  private static int[] toArray(List<Integer> sizes) {
    return sizes.stream().mapToInt(Integer::intValue).toArray();
  }
}
