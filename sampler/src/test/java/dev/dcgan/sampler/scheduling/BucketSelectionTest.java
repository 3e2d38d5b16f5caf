package dev.dcgan.sampler.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntToLongFunction;
import org.junit.jupiter.api.Test;

class BucketSelectionTest {

  private final AtomicLong clock = new AtomicLong();

  @Test
  void candidates_arePowersOfTwo_andTheLargest() {
    assertThat(BucketSelection.candidates(1)).containsExactly(1);
    assertThat(BucketSelection.candidates(2)).containsExactly(1, 2);
    assertThat(BucketSelection.candidates(20)).containsExactly(1, 2, 4, 8, 16, 20);
    assertThat(BucketSelection.candidates(32)).containsExactly(1, 2, 4, 8, 16, 32);
  }

  @Test
  void worthwhile_dropsSizesThatALargerOneHardlyExceeds() {
    int[] sizes = {1, 2, 4, 8, 16};
    assertThat(BucketSelection.worthwhile(sizes, new long[] {100, 100, 105, 109, 200}))
        .as("8 takes less than 10 % longer than 1")
        .containsExactly(8, 16);
    assertThat(BucketSelection.worthwhile(sizes, new long[] {100, 108, 116, 125, 200}))
        .as("each is 8 % slower than the one before, but 4 is 16 % slower than 1")
        .containsExactly(2, 8, 16);
    assertThat(BucketSelection.worthwhile(sizes, new long[] {100, 100, 100, 100, 100}))
        .containsExactly(16);
  }

  @Test
  void worthwhile_dropsSizesThatMakeNoImageCheaper() {
    int[] sizes = {1, 2, 4, 8, 16};
    assertThat(BucketSelection.worthwhile(sizes, new long[] {100, 120, 150, 300, 600}))
        .containsExactly(1, 2, 4);
    assertThat(BucketSelection.worthwhile(sizes, new long[] {100, 200, 400, 800, 1600}))
        .containsExactly(1);
    assertThat(BucketSelection.worthwhile(new int[] {1, 128, 130}, new long[] {100, 12800, 12900}))
        .as("1 is cheapest, and 130 must not stand for it")
        .containsExactly(1);
    assertThat(BucketSelection.worthwhile(new int[] {64, 128, 130}, new long[] {900, 1280, 1300}))
        .as("130 stands for 128, the cheapest")
        .containsExactly(64, 130);
  }

  @Test
  void select_opensAscending_andClosesDroppedBucketsAtOnce() throws IOException {
    FakeLanes lanes = new FakeLanes(1, n -> n <= 4 ? 1000 : 1000L * n / 4);
    LatencyProfile profile =
        BucketSelection.select(lanes, BucketSelection.candidates(64), clock::get);

    assertThat(profile.sizes()).containsExactly(4);
    assertThat(profile.nanos(3)).isEqualTo(1000);
    assertThat(lanes.opened)
        .as("8 and 16 are no cheaper, 32 is not tried")
        .containsExactly(1, 2, 4, 8, 16);
    assertThat(lanes.mostOpen).as("few copies of the weights").isEqualTo(3);
    assertThat(lanes.open).containsExactly(4);
  }

  @Test
  void select_keepsAFewBuckets_andTheirTimes() throws IOException {
    FakeLanes lanes = new FakeLanes(1, n -> 1000 + 20L * n);
    LatencyProfile profile =
        BucketSelection.select(lanes, BucketSelection.candidates(200), clock::get);

    assertThat(profile.sizes()).containsExactly(4, 8, 16, 32, 64, 128, 200);
    assertThat(profile.nanos(1)).isEqualTo(1080);
    assertThat(profile.nanos(65)).isEqualTo(1000 + 20 * 128);
    assertThat(profile.nanos(200)).isEqualTo(5000);
    assertThat(lanes.open).containsExactly(4, 8, 16, 32, 64, 128, 200);
    assertThat(profile.hasBuckets()).isTrue();
  }

  @Test
  void select_ofOneCandidate_keepsIt() throws IOException {
    FakeLanes lanes = new FakeLanes(1, n -> 1000L * n);
    assertThat(BucketSelection.select(lanes, new int[] {16}, clock::get).sizes())
        .containsExactly(16);
  }

  @Test
  void select_whenMemoryRunsOut_keepsTheSmallerBuckets() throws IOException {
    FakeLanes lanes = new FakeLanes(1, n -> 1000 + 20L * n);
    lanes.mostImages = 32;
    LatencyProfile profile =
        BucketSelection.select(lanes, BucketSelection.candidates(128), clock::get);

    assertThat(profile.sizes()).containsExactly(4, 8, 16, 32);
    assertThat(lanes.open).containsExactly(4, 8, 16, 32);
  }

  @Test
  void select_whenTheSmallestFails_orForAnotherReason_throws() {
    FakeLanes none = new FakeLanes(1, n -> 1000);
    none.mostImages = 0;
    assertThatThrownBy(() -> BucketSelection.select(none, new int[] {1, 2}, clock::get))
        .hasMessage("no memory for 1");

    FakeLanes broken = new FakeLanes(1, n -> 1000);
    broken.broken = 0;
    assertThatThrownBy(() -> BucketSelection.select(broken, new int[] {1, 2}, clock::get))
        .hasMessage("lane 0 is broken");
  }

  @Test
  void select_measuresWithAllLanesAtWork() throws IOException {
    FakeLanes lanes = new FakeLanes(3, n -> 1000 + 100L * n);
    // A run ends when all lanes run; the last to arrive lets the time pass.
    lanes.together =
        new CyclicBarrier(3, () -> clock.addAndGet(lanes.nanos.applyAsLong(lanes.size)));
    LatencyProfile profile = BucketSelection.select(lanes, new int[] {1, 8, 16}, clock::get);
    assertThat(profile.toString()).isEqualTo("1: 1 us, 8: 1 us, 16: 2 us");
    assertThat(profile.nanos(16)).isEqualTo(2600);
  }

  @Test
  void profiler_alternatesTheSizes() {
    FakeLanes lanes = new FakeLanes(1, n -> 1000);
    LaneProfiler.measure(lanes.networks(), new int[] {2, 8}, clock::get);
    assertThat(lanes.runs).startsWith(2, 8, 2, 8).endsWith(2, 8);
    assertThat(lanes.runs).doesNotContainSequence(2, 2).doesNotContainSequence(8, 8);
  }

  @Test
  void profiler_measuresTheCostOfAlternation() {
    FakeLanes lanes = new FakeLanes(1, n -> 1000);
    AtomicInteger last = new AtomicInteger();
    // Like a session that makes a new plan whenever the batch size changes.
    lanes.nanos = n -> last.getAndSet(n) == n ? 1000 : 5000;
    assertThat(LaneProfiler.measure(lanes.networks(), new int[] {2}, clock::get))
        .containsExactly(1000);
    assertThat(LaneProfiler.measure(lanes.networks(), new int[] {2, 8}, clock::get))
        .containsExactly(5000, 5000);
  }

  @Test
  void profiler_whenALaneFails_throwsAfterAllLanesEnd() {
    FakeLanes lanes = new FakeLanes(2, n -> 1000);
    lanes.broken = 1;
    assertThatThrownBy(() -> LaneProfiler.measure(lanes.networks(), new int[] {2}, clock::get))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("lane 1 is broken");
    assertThat(lanes.running).hasValue(0);
    assertThat(lanes.runs).as("the other lane went on").isNotEmpty();
  }

  /** Lanes whose runs take as long as the test says. */
  private final class FakeLanes implements BucketSelection.Lanes {

    private final List<Network> networks = new ArrayList<>();
    private final List<Integer> opened = new ArrayList<>();
    private final NavigableSet<Integer> open = new TreeSet<>();
    private final List<Integer> runs = new ArrayList<>(); // guarded by itself
    private final AtomicInteger running = new AtomicInteger();
    private IntToLongFunction nanos;
    private int mostOpen;
    private int broken = -1;
    private int mostImages = Integer.MAX_VALUE;
    private volatile int size;
    private CyclicBarrier together = new CyclicBarrier(1);

    FakeLanes(int count, IntToLongFunction nanos) {
      this.nanos = nanos;
      for (int i = 0; i < count; i++) {
        networks.add(new FakeNetwork(this, i));
      }
      if (count == 1) {
        together = new CyclicBarrier(1, () -> clock.addAndGet(this.nanos.applyAsLong(size)));
      }
    }

    @Override
    public List<Network> networks() {
      return networks;
    }

    @Override
    public void open(int bucket) throws IOException {
      if (bucket > mostImages) {
        throw new IOException("no memory for " + bucket);
      }
      opened.add(bucket);
      open.add(bucket);
      mostOpen = Math.max(mostOpen, open.size());
    }

    @Override
    public void retain(NavigableSet<Integer> buckets) {
      open.retainAll(buckets);
    }

    @Override
    public boolean isOutOfMemory(Exception failure) {
      return String.valueOf(failure.getMessage()).startsWith("no memory");
    }

    private void run(int lane, int n) {
      if (lane == broken) {
        throw new IllegalStateException("lane " + lane + " is broken");
      }
      running.incrementAndGet();
      size = n;
      try {
        if (broken < 0) {
          together.await(30, TimeUnit.SECONDS);
        }
      } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
        throw new AssertionError("the lanes do not run at once", e);
      }
      synchronized (runs) {
        runs.add(n);
      }
      running.decrementAndGet();
    }
  }

  private record FakeNetwork(FakeLanes lanes, int lane) implements Network {

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
      lanes.run(lane, batch.get(0).count());
    }

    @Override
    public void close() {}
  }
}
