package dev.dcgan.sampler.batch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FairQueueTest {

  private static final double NANOS_PER_IMAGE = 10;
  private static final List<Priority> PRIORITIES = List.of(Priority.values());

  private final GatedNetwork network = new GatedNetwork(2, 3);
  private final FairQueue queue = new FairQueue();
  private long requests;

  @Test
  void loneRequest_isSplitOverBatches_inOrder() {
    Job job = add(10);
    assertThat(take(4)).containsExactly(new Slice(job, 0, 4));
    assertThat(take(4)).containsExactly(new Slice(job, 4, 4));
    assertThat(take(4)).containsExactly(new Slice(job, 8, 2));
    assertThat(take(4)).isEmpty();
    assertThat(queue.images()).isZero();
    assertThat(queue.requests()).isZero();
  }

  @Test
  void newcomer_ridesInTheNextBatch_beforeThoseThatHadTheirTurn() {
    Job large = add(1000);
    take(8);
    Job single = add(1);
    assertThat(take(8)).containsExactly(new Slice(single, 0, 1), new Slice(large, 8, 7));
  }

  @Test
  void ring_takesTurnsOfFourImages() {
    Job a = add(100);
    Job b = add(100);
    assertThat(take(8)).containsExactly(new Slice(a, 0, 4), new Slice(b, 0, 4));
    assertThat(take(8)).containsExactly(new Slice(a, 4, 4), new Slice(b, 4, 4));
  }

  @Test
  void turnThatABatchCutsShort_isContinuedInTheNext() {
    Job a = add(100);
    Job b = add(100);
    take(8);
    assertThat(take(3)).containsExactly(new Slice(a, 4, 3));
    assertThat(take(3)).containsExactly(new Slice(a, 7, 1), new Slice(b, 4, 2));
    assertThat(take(3)).containsExactly(new Slice(b, 6, 2), new Slice(a, 8, 1));
  }

  @Test
  void priorities_getSharesOneFourAndSixteen() {
    Map<Job, String> names = new HashMap<>();
    names.put(add(10_000, Priority.LOW), "low");
    names.put(add(10_000, Priority.NORMAL), "normal");
    names.put(add(10_000, Priority.HIGH), "high");
    take(21); // Their first turns, of which the last may be cut short,
    take(21); // and continued here.
    Map<String, Integer> images = new HashMap<>();
    for (int i = 0; i < 100; i++) {
      take(21).forEach(slice -> images.merge(names.get(slice.job()), slice.count(), Integer::sum));
    }
    assertThat(images).isEqualTo(Map.of("low", 100, "normal", 400, "high", 1600));
  }

  @Test
  void floodOfNewcomers_leavesHalfToTheRing() {
    Job large = add(10_000);
    take(8);
    int rest = 0;
    for (int i = 0; i < 100; i++) {
      for (int k = 0; k < 20; k++) {
        add(1);
      }
      rest += take(8).stream().filter(slice -> slice.job() == large).mapToInt(Slice::count).sum();
    }
    assertThat(rest).isBetween(396, 404);
  }

  @Test
  void manyStreams_doNotDelayANewcomer_whateverTheBatch() {
    for (int room = 1; room <= 16; room++) {
      FairQueueTest other = new FairQueueTest();
      for (int i = 0; i < 10; i++) {
        other.add(10_000);
      }
      for (int i = 0; i < 100; i++) {
        other.take(room);
      }
      Job single = other.add(1);
      List<Slice> next = new ArrayList<>(other.take(room));
      next.addAll(other.take(room));
      assertThat(next).as("batches of %d", room).contains(new Slice(single, 0, 1));
    }
  }

  @Test
  void tightDeadline_goesFirst_andOneThatIsFarAwayDoesNot() {
    add(4);
    add(4);
    add(4);
    Job relaxed = add(4, 10_000);
    Job tight = add(4, 150); // At its fair share it would be done after 20 images, 200 ns.
    List<Slice> batch = take(8);
    assertThat(batch.get(0)).isEqualTo(new Slice(tight, 0, 4));
    assertThat(batch).noneMatch(slice -> slice.job() == relaxed);
  }

  @Test
  void earliestOfTightDeadlines_goesFirst() {
    Job second = add(4, 120);
    Job first = add(4, 110);
    add(100);
    assertThat(take(8)).containsExactly(new Slice(first, 0, 4), new Slice(second, 0, 4));
  }

  @Test
  void deadlineAcrossTheClocksWrap_isStillAhead() {
    Request request = new Request(Priority.NORMAL, true, Long.MIN_VALUE + 100, requests++, 4);
    Job job = new Job(request, network, new float[8], Output.PIXELS, Runnable::run);
    queue.add(job, Long.MAX_VALUE - 100);
    assertThat(queue.removeExpired(Long.MAX_VALUE - 50)).isEmpty();
    assertThat(queue.removeExpired(Long.MIN_VALUE + 100)).containsExactly(job);
    assertThat(queue.images()).isZero();
  }

  @Test
  void expired_leaveTheQueue_withWhatIsLeftOfThem() {
    Job early = add(6, 50);
    Job later = add(6, 80);
    take(8);
    assertThat(queue.removeExpired(49)).isEmpty();
    assertThat(queue.removeExpired(50)).containsExactly(early);
    assertThat(queue.images()).isEqualTo(2);
    assertThat(take(8)).containsExactly(new Slice(later, 4, 2));
  }

  @Test
  void remove_ofPartlyTakenJob_freesWhatIsLeft() {
    Job large = add(12);
    Job small = add(2);
    take(8);
    assertThat(queue.remove(large)).isEqualTo(6);
    assertThat(queue.remove(large)).isZero();
    assertThat(queue.remove(small)).as("all taken").isZero();
    assertThat(queue.images()).isZero();
    assertThat(queue.requests()).isZero();
  }

  @Test
  void nextChunkOfAStream_keepsItsPlaceInTheRing() {
    Job chunk = add(4);
    Job other = add(100);
    take(8);
    Job next = new Job(chunk.request, network, new float[2 * 8], Output.PIXELS, Runnable::run);
    queue.add(next, 0);
    Job newcomer = add(1);
    assertThat(take(8))
        .containsExactly(new Slice(newcomer, 0, 1), new Slice(other, 4, 4), new Slice(next, 0, 3));
  }

  @Test
  void newcomersTurnThatABatchCutsShort_isContinuedBeforeTheRing() {
    for (int i = 0; i < 10; i++) {
      add(1000);
    }
    take(200); // All have had their first turn.
    Job newcomer = add(4);
    int batches = 0;
    int made = 0;
    while (made < 4) {
      batches++;
      for (Slice slice : take(2)) {
        made += slice.job() == newcomer ? slice.count() : 0;
      }
    }
    assertThat(batches).isLessThanOrEqualTo(4);
  }

  @Test
  void before_isAFirstTurnsWaitForASmallRequest_andAFairShareForALargeOne() {
    for (int i = 0; i < 10; i++) {
      add(10_000);
    }
    take(200);
    assertThat(queue.before(1, Priority.NORMAL)).isZero();
    assertThat(queue.before(104, Priority.NORMAL)).isEqualTo(1000);
    assertThat(queue.before(1_000_000, Priority.NORMAL)).as("all there is").isEqualTo(99_800);
    add(1);
    assertThat(queue.before(1, Priority.NORMAL)).isEqualTo(8);
  }

  @Test
  void before_countsWhatAStreamHasNotQueuedYet() {
    Request stream = new Request(Priority.NORMAL, false, 0, requests++, 100_000);
    add(256, stream);
    assertThat(queue.before(1_000_000, Priority.NORMAL)).isEqualTo(100_000);
    take(256);
    assertThat(queue.before(1_000_000, Priority.NORMAL)).as("nothing waits now").isZero();
    Job next = add(256, stream);
    assertThat(queue.before(1_000_000, Priority.NORMAL)).isEqualTo(99_744);
    queue.remove(next);
    assertThat(queue.before(1_000_000, Priority.NORMAL)).isZero();
  }

  @Test
  void anyOrderOfEvents_losesAndDoublesNoImage() {
    Random random = new Random(5);
    List<Job> jobs = new ArrayList<>();
    Map<Job, Integer> taken = new HashMap<>();
    Map<Job, Integer> removed = new HashMap<>();
    for (int i = 0; i < 20_000; i++) {
      switch (random.nextInt(4)) {
        case 0 -> jobs.add(add(1 + random.nextInt(50), PRIORITIES.get(random.nextInt(3))));
        case 1 -> jobs.add(add(1 + random.nextInt(50), i + random.nextInt(200)));
        case 2 ->
            queue
                .take(1 + random.nextInt(40), i, NANOS_PER_IMAGE)
                .forEach(
                    slice -> {
                      assertThat(slice.first()).isEqualTo(taken.getOrDefault(slice.job(), 0));
                      taken.merge(slice.job(), slice.count(), Integer::sum);
                    });
        default -> {
          if (random.nextInt(4) == 0 && !jobs.isEmpty()) {
            Job job = jobs.get(random.nextInt(jobs.size()));
            removed.merge(job, queue.remove(job), Integer::sum);
          }
        }
      }
    }
    while (queue.images() > 0) {
      queue
          .take(32, 20_000, NANOS_PER_IMAGE)
          .forEach(slice -> taken.merge(slice.job(), slice.count(), Integer::sum));
    }
    for (Job job : jobs) {
      assertThat(taken.getOrDefault(job, 0) + removed.getOrDefault(job, 0)).isEqualTo(job.count);
    }
    assertThat(queue.requests()).isZero();
  }

  private List<Slice> take(int room) {
    return queue.take(room, 0, NANOS_PER_IMAGE);
  }

  private Job add(int count) {
    return add(count, Priority.NORMAL);
  }

  private Job add(int count, Priority priority) {
    return add(count, new Request(priority, false, 0, requests++, count));
  }

  private Job add(int count, long deadline) {
    return add(count, new Request(Priority.NORMAL, true, deadline, requests++, count));
  }

  private Job add(int count, Request request) {
    Job job = new Job(request, network, new float[count * 2], Output.PIXELS, Runnable::run);
    queue.add(job, 0);
    return job;
  }
}
