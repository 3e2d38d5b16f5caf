package dev.dcgan.sampler.batch;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class BatchQueueTest {

  private final GatedNetwork network = new GatedNetwork(2, 3);
  private final BatchQueue queue = new BatchQueue(new BatchPolicy(8, Duration.ofNanos(100), 1000));

  @Test
  void batch_whenBatcherWasIdle_closesAtOnce() {
    queue.add(job(1), 5, true);
    assertThat(queue.closesIn(5)).isZero();
  }

  @Test
  void batch_whenNetworkRuns_waitsForDelayOfOldest() {
    queue.add(job(1), 1000, false);
    queue.add(job(1), 1060, false);
    assertThat(queue.closesIn(1060)).isEqualTo(40);
    assertThat(queue.closesIn(1100)).isZero();
  }

  @Test
  void batch_whenClockWraps_stillWaitsForDelay() {
    queue.add(job(1), Long.MAX_VALUE - 10, false);
    assertThat(queue.closesIn(Long.MIN_VALUE + 9)).isEqualTo(80);
  }

  @Test
  void batch_whenFull_closesAtOnce() {
    queue.add(job(5), 0, false);
    assertThat(queue.closesIn(0)).isEqualTo(100);
    queue.add(job(3), 0, false);
    assertThat(queue.closesIn(0)).isZero();
  }

  @Test
  void take_splitsLargeJobsAndSharesBatches_inOrderOfArrival() {
    Job large = job(12);
    Job small = job(2);
    Job last = job(3);
    queue.add(large, 0, false);
    queue.add(small, 0, false);
    queue.add(last, 0, false);

    assertThat(queue.take()).containsExactly(new Slice(large, 0, 8));
    assertThat(queue.images()).isEqualTo(9);
    assertThat(queue.take())
        .containsExactly(new Slice(large, 8, 4), new Slice(small, 0, 2), new Slice(last, 0, 2));
    assertThat(queue.take()).containsExactly(new Slice(last, 2, 1));
    assertThat(queue.take()).isEmpty();
    assertThat(queue.images()).isZero();
  }

  @Test
  void remove_ofPartlyTakenJob_freesWhatIsLeft() {
    Job large = job(12);
    Job small = job(2);
    queue.add(large, 0, false);
    queue.add(small, 0, false);
    queue.take();

    assertThat(queue.remove(large)).isEqualTo(4);
    assertThat(queue.remove(large)).isZero();
    assertThat(queue.take()).isEqualTo(List.of(new Slice(small, 0, 2)));
  }

  private Job job(int count) {
    return new Job(network, new float[count * 2], Output.PIXELS);
  }
}
