package dev.dcgan.sampler.scheduling;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.function.LongSupplier;

/**
 * Selects the few batch sizes, the buckets, for which a version has sessions. Candidates are opened
 * and measured in ascending order, and only those that pay are kept.
 *
 * <ul>
 *   <li>A bucket is dropped if a larger one takes hardly longer: padding costs less than another
 *       copy of the weights. So the smallest buckets of a GPU usually collapse into one.
 *   <li>Once an image gets no cheaper, larger candidates are not tried: they would only add latency
 *       and memory.
 *   <li>If a candidate does not fit into the device's memory, the smaller ones are used.
 * </ul>
 */
public final class BucketSelection {

  /** The lanes of one version: instances that run concurrently and have the same buckets. */
  public interface Lanes {

    /** The lanes as networks; each runs batches up to its largest bucket. */
    List<? extends Network> networks();

    /** Adds a bucket to every lane. */
    void open(int bucket) throws IOException;

    /** Closes all other buckets. */
    void retain(NavigableSet<Integer> buckets);

    /** Whether {@link #open} or a run failed for want of memory. */
    boolean isOutOfMemory(Exception failure);
  }

  // A bucket needs no session of its own if padding to a larger one takes less than this much
  // longer.
  private static final double MAX_PADDING_COST = 1.1;

  private BucketSelection() {}

  /** The powers of two below a size, and that size; ascending. */
  public static int[] candidates(int maxBatch) {
    List<Integer> sizes = new ArrayList<>();
    for (int size = 1; size < maxBatch; size *= 2) {
      sizes.add(size);
    }
    sizes.add(maxBatch);
    return toArray(sizes);
  }

  /**
   * Opens the buckets that pay in every lane, and returns their latency.
   *
   * @param candidates ascending; a single candidate is always kept
   */
  public static LatencyProfile select(Lanes lanes, int[] candidates, LongSupplier nanoClock)
      throws IOException {
    long[] nanos = new long[candidates.length];
    int measured = 0;
    double cheapest = Double.MAX_VALUE;
    int withoutGain = 0;
    while (measured < candidates.length && withoutGain < LatencyProfile.MAX_SIZES_WITHOUT_GAIN) {
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
      withoutGain = LatencyProfile.isCheaper(each, cheapest) ? 0 : withoutGain + 1;
      cheapest = Math.min(cheapest, each);
      // Closed at once, so that few copies of the weights are in memory at a time.
      lanes.retain(distinct(candidates, nanos, measured));
    }
    int[] kept = worthwhile(Arrays.copyOf(candidates, measured), Arrays.copyOf(nanos, measured));
    lanes.retain(new TreeSet<>(Arrays.stream(kept).boxed().toList()));
    return LatencyProfile.ofBuckets(kept, LaneProfiler.measure(lanes.networks(), kept, nanoClock));
  }

  /**
   * The sizes that are worth a session of their own.
   *
   * @param sizes ascending
   * @param nanos latency of each
   */
  static int[] worthwhile(int[] sizes, long[] nanos) {
    NavigableSet<Integer> distinct = distinct(sizes, nanos, sizes.length);
    Integer largest = distinct.ceiling(LatencyProfile.optimalBatchSize(sizes, nanos));
    return toArray(List.copyOf(distinct.headSet(largest, true)));
  }

  /**
   * Groups sizes of about the same latency, and returns the largest of each group. When more sizes
   * follow, only the last group may change.
   */
  private static NavigableSet<Integer> distinct(int[] sizes, long[] nanos, int count) {
    NavigableSet<Integer> distinct = new TreeSet<>();
    long smallestOfGroup = nanos[0];
    for (int i = 1; i < count; i++) {
      if (nanos[i] >= MAX_PADDING_COST * smallestOfGroup) {
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
