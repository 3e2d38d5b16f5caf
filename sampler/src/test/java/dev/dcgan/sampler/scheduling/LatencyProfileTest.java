package dev.dcgan.sampler.scheduling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntToLongFunction;
import org.junit.jupiter.api.Test;

class LatencyProfileTest {

  // Batching saves little.
  private static final LatencyProfile CPU =
      LatencyProfile.of(new int[] {1, 2, 4}, new long[] {1000, 1990, 3980});
  // Up to 32 images a run takes the same time.
  private static final LatencyProfile GPU =
      LatencyProfile.of(new int[] {1, 32, 64}, new long[] {1000, 1000, 2000});

  private final AtomicLong clock = new AtomicLong();

  @Test
  void optimalBatchSize_isTheSmallestThatIsAboutAsCheapAsAny() {
    assertThat(CPU.optimalBatchSize()).isEqualTo(1);
    assertThat(GPU.optimalBatchSize()).isEqualTo(32);
  }

  @Test
  void nanos_betweenAndBeyondMeasuredSizes_areInterpolated() {
    assertThat(CPU.nanos(2)).isEqualTo(1990);
    assertThat(CPU.nanos(3)).isEqualTo(2985);
    assertThat(CPU.nanos(8)).isEqualTo(7960);
  }

  @Test
  void savingFromWaiting_isTheCostOfASeparateRun() {
    assertThat(CPU.savingFromWaiting(1)).isEqualTo(10);
    assertThat(GPU.savingFromWaiting(1)).isEqualTo(1000);
    assertThat(GPU.savingFromWaiting(31)).isEqualTo(1000);
    assertThat(GPU.savingFromWaiting(32)).isEqualTo(969);
  }

  @Test
  void batchSize_isAShare_whereThatFinishesSooner() {
    LatencyProfile small = LatencyProfile.of(new int[] {1, 8}, new long[] {1000, 7000});
    assertThat(small.batchSize(8, 1, 8)).isEqualTo(8);
    assertThat(small.batchSize(8, 2, 8)).isEqualTo(4);
    assertThat(small.batchSize(9, 2, 8)).isEqualTo(5);
    assertThat(small.batchSize(100, 2, 8)).isEqualTo(8);
    assertThat(GPU.batchSize(8, 2, 32)).as("all at once takes no longer").isEqualTo(8);
  }

  @Test
  void measure_stopsWhereImagesGetNoCheaper() {
    assertThat(measure(n -> 1000L * n)).isEqualTo("1: 1 us, 2: 2 us, 4: 4 us");
    assertThat(measure(n -> 10_000L))
        .isEqualTo("1: 10 us, 2: 10 us, 4: 10 us, 8: 10 us, 16: 10 us, 20: 10 us");
  }

  @Test
  void nanos_withBuckets_areThoseOfTheNextBucket() {
    LatencyProfile buckets = LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 3000});
    assertThat(buckets.nanos(1)).isEqualTo(1000);
    assertThat(buckets.nanos(4)).isEqualTo(1000);
    assertThat(buckets.nanos(5)).isEqualTo(3000);
    assertThat(buckets.nanos(16)).isEqualTo(3000);
    assertThat(buckets.nanos(17)).as("two runs").isEqualTo(4000);
    assertThat(buckets.nanos(32)).as("two runs").isEqualTo(6000);
    assertThat(buckets.optimalBatchSize()).isEqualTo(16);
    assertThat(buckets.maxSize()).isEqualTo(16);
    assertThat(buckets.hasBuckets()).isTrue();
    assertThat(CPU.hasBuckets()).isFalse();
  }

  @Test
  void savingFromWaiting_withBuckets_isZeroAcrossABoundary() {
    LatencyProfile buckets = LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 3000});
    assertThat(buckets.savingFromWaiting(1)).as("one more fits the padded run").isEqualTo(1000);
    assertThat(buckets.savingFromWaiting(4)).as("one more needs the larger bucket").isZero();
    assertThat(buckets.savingFromWaiting(5)).isEqualTo(1000);
    assertThat(buckets.savingFromWaiting(16)).isZero();
  }

  @Test
  void batchSize_betweenBuckets_isPaddedOrCut() {
    // 5 images: 3000 padded to 16, 2000 as 4 + 1. 12: 3000 either way. 13: 3000 against 4000.
    LatencyProfile buckets = LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 3000});
    assertThat(sizes(buckets, 1, 3, 4, 5, 8, 9, 12, 13, 16, 17, 40))
        .containsExactly(1, 3, 4, 4, 4, 9, 12, 13, 16, 16, 16);
    LatencyProfile flat = LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 1200});
    assertThat(sizes(flat, 3, 5, 15)).as("padding is cheap").containsExactly(3, 5, 15);
    LatencyProfile steep = LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 9000});
    assertThat(sizes(steep, 15, 16)).as("the large bucket does not pay").containsExactly(4, 4);
  }

  @Test
  void batchSize_withBuckets_staysWithinTheLimits() {
    LatencyProfile buckets = LatencyProfile.ofBuckets(new int[] {4, 16}, new long[] {1000, 3000});
    assertThat(buckets.batchSize(100, 1, 200)).isEqualTo(16);
    assertThat(buckets.batchSize(100, 1, 4)).isEqualTo(4);
    assertThat(buckets.batchSize(100, 1, 2)).isEqualTo(2);
  }

  @Test
  void batchSize_withBuckets_sharesAmongLanes_andFillsTheBucket() {
    LatencyProfile buckets =
        LatencyProfile.ofBuckets(new int[] {4, 8, 16}, new long[] {1000, 1900, 3700});
    assertThat(buckets.batchSize(16, 2, 16)).isEqualTo(8);
    assertThat(buckets.batchSize(10, 2, 16)).as("a padded run of 5 takes as long").isEqualTo(8);
    assertThat(buckets.batchSize(4, 2, 16)).as("half of them takes as long").isEqualTo(4);
  }

  private static int[] sizes(LatencyProfile profile, int... queued) {
    return Arrays.stream(queued).map(n -> profile.batchSize(n, 1, 1000)).toArray();
  }

  private String measure(IntToLongFunction nanos) {
    Network network =
        new Network() {
          @Override
          public int latentSize() {
            return 2;
          }

          @Override
          public int imageBytes(Output output) {
            return 3;
          }

          @Override
          public void run(List<BatchSlice> batch) {
            clock.addAndGet(nanos.applyAsLong(batch.get(0).count()));
          }

          @Override
          public void close() {}
        };
    return LatencyProfile.measure(network, 20, clock::get).toString();
  }
}
