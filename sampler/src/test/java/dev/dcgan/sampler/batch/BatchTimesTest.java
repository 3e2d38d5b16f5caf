package dev.dcgan.sampler.batch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class BatchTimesTest {

  // An image costs the same in any company.
  private static final BatchTimes CPU =
      BatchTimes.of(new int[] {1, 2, 4}, new long[] {1000, 1990, 3980});
  // Up to 32 it costs nothing to join.
  private static final BatchTimes GPU =
      BatchTimes.of(new int[] {1, 32, 64}, new long[] {1000, 1000, 2000});

  private final AtomicLong clock = new AtomicLong();

  @Test
  void best_isTheSmallestBatchThatIsAboutAsCheapAsAny() {
    assertThat(CPU.best()).isEqualTo(1);
    assertThat(GPU.best()).isEqualTo(32);
  }

  @Test
  void nanos_betweenAndBeyondWhatWasMeasured_areInProportion() {
    assertThat(CPU.nanos(2)).isEqualTo(1990);
    assertThat(CPU.nanos(3)).isEqualTo(2985);
    assertThat(CPU.nanos(8)).isEqualTo(7960);
  }

  @Test
  void saved_isWhatARunOfItsOwnWouldCost() {
    assertThat(CPU.saved(1)).isEqualTo(10);
    assertThat(GPU.saved(1)).isEqualTo(1000);
    assertThat(GPU.saved(31)).isEqualTo(1000);
    assertThat(GPU.saved(32)).isEqualTo(969);
  }

  @Test
  void size_isAShareEach_whereThatEndsSooner() {
    BatchTimes small = BatchTimes.of(new int[] {1, 8}, new long[] {1000, 7000});
    assertThat(small.size(8, 1, 8)).isEqualTo(8);
    assertThat(small.size(8, 2, 8)).isEqualTo(4);
    assertThat(small.size(9, 2, 8)).isEqualTo(5);
    assertThat(small.size(100, 2, 8)).isEqualTo(8);
    assertThat(GPU.size(8, 2, 32)).as("all at once takes no longer").isEqualTo(8);
  }

  @Test
  void measure_stopsWhereImagesGetNoCheaper() {
    assertThat(measure(n -> 1000L * n, false)).isEqualTo("1: 1 us, 2: 2 us, 4: 4 us");
    assertThat(measure(n -> 1000L * n, true))
        .isEqualTo("1: 1 us, 2: 2 us, 4: 4 us, 8: 8 us, 16: 16 us, 20: 20 us");
    assertThat(measure(n -> 10_000L, false))
        .isEqualTo("1: 10 us, 2: 10 us, 4: 10 us, 8: 10 us, 16: 10 us, 20: 10 us");
  }

  private String measure(java.util.function.IntToLongFunction nanos, boolean all) {
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
          public void run(List<Slice> batch) {
            clock.addAndGet(nanos.applyAsLong(batch.get(0).count()));
          }

          @Override
          public void close() {}
        };
    return BatchTimes.measure(network, 20, all, clock::get).toString();
  }
}
