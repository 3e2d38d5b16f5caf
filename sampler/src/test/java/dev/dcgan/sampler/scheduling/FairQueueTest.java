package dev.dcgan.sampler.scheduling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FairQueueTest {

  private static final String CALLER = "caller";
  private static final int LATENT = 2;
  private static final double NANOS_PER_IMAGE = 10;
  private static final List<Priority> PRIORITIES = List.of(Priority.values());

  private final Map<ImageTask, QueuedRequest> requestsByTask = new HashMap<>();
  private final FairQueue queue = new FairQueue();
  private long requests;

  @Test
  void loneRequest_isSplitOverBatches_inOrder() {
    ImageTask task = add(10);
    assertThat(take(4)).containsExactly(new BatchSlice(task, 0, 4));
    assertThat(take(4)).containsExactly(new BatchSlice(task, 4, 4));
    assertThat(take(4)).containsExactly(new BatchSlice(task, 8, 2));
    assertThat(take(4)).isEmpty();
    assertThat(queue.images()).isZero();
    assertThat(queue.requests()).isZero();
  }

  @Test
  void newRequest_joinsTheNextBatch_beforeOldOnes() {
    ImageTask large = add(1000);
    take(8);
    ImageTask single = add(1);
    assertThat(take(8)).containsExactly(new BatchSlice(single, 0, 1), new BatchSlice(large, 8, 7));
  }

  @Test
  void oldRequests_takeTurnsOfFourImages() {
    ImageTask a = add(100);
    ImageTask b = add(100);
    assertThat(take(8)).containsExactly(new BatchSlice(a, 0, 4), new BatchSlice(b, 0, 4));
    assertThat(take(8)).containsExactly(new BatchSlice(a, 4, 4), new BatchSlice(b, 4, 4));
  }

  @Test
  void interruptedTurn_isContinuedInTheNextBatch() {
    ImageTask a = add(100);
    ImageTask b = add(100);
    take(8);
    assertThat(take(3)).containsExactly(new BatchSlice(a, 4, 3));
    assertThat(take(3)).containsExactly(new BatchSlice(a, 7, 1), new BatchSlice(b, 4, 2));
    assertThat(take(3)).containsExactly(new BatchSlice(b, 6, 2), new BatchSlice(a, 8, 1));
  }

  @Test
  void priorities_getSharesOneFourAndSixteen() {
    Map<ImageTask, String> names = new HashMap<>();
    names.put(add(10_000, Priority.LOW), "low");
    names.put(add(10_000, Priority.NORMAL), "normal");
    names.put(add(10_000, Priority.HIGH), "high");
    take(21); // Their first turns, of which the batch may interrupt the last,
    take(21); // and continued here.
    Map<String, Integer> images = new HashMap<>();
    for (int i = 0; i < 100; i++) {
      take(21).forEach(slice -> images.merge(names.get(slice.task()), slice.count(), Integer::sum));
    }
    assertThat(images).isEqualTo(Map.of("low", 100, "normal", 400, "high", 1600));
  }

  @Test
  void floodOfNewRequests_leavesHalfToOldOnes() {
    ImageTask large = add(10_000);
    take(8);
    int rest = 0;
    for (int i = 0; i < 100; i++) {
      for (int k = 0; k < 20; k++) {
        add(1);
      }
      rest +=
          take(8).stream().filter(slice -> slice.task() == large).mapToInt(BatchSlice::count).sum();
    }
    assertThat(rest).isBetween(396, 404);
  }

  @Test
  void manyStreams_doNotDelayANewRequest() {
    for (int room = 1; room <= 16; room++) {
      FairQueueTest other = new FairQueueTest();
      for (int i = 0; i < 10; i++) {
        other.add(10_000);
      }
      for (int i = 0; i < 100; i++) {
        other.take(room);
      }
      ImageTask single = other.add(1);
      List<BatchSlice> next = new ArrayList<>(other.take(room));
      next.addAll(other.take(room));
      assertThat(next).as("batches of %d", room).contains(new BatchSlice(single, 0, 1));
    }
  }

  @Test
  void callers_getEqualShares_howeverManyRequestsTheyHave() {
    for (int i = 0; i < 10; i++) {
      add(10_000, "many");
    }
    add(10_000, "one");
    assertThat(imagesOf("one", 100)).isBetween(396, 404);
  }

  @Test
  void callerThatFloodsWithSmallRequests_getsOneShare() {
    add(10_000, "a");
    add(10_000, "b");
    int a = 0;
    for (int i = 0; i < 150; i++) {
      for (int k = 0; k < 20; k++) {
        add(1, "flood");
      }
      a += imagesOf("a", 1);
    }
    assertThat(a).isBetween(396, 404);
  }

  @Test
  void requestsOfACaller_shareItsTurn() {
    ImageTask single = add(1, "a");
    ImageTask large = add(100, "a");
    ImageTask other = add(100, "b");
    assertThat(take(8))
        .containsExactly(
            new BatchSlice(single, 0, 1), new BatchSlice(large, 0, 3), new BatchSlice(other, 0, 4));
    assertThat(take(4))
        .as("the turn of the large one, and what is left of its caller's")
        .containsExactly(new BatchSlice(large, 3, 4));
  }

  @Test
  void newCaller_joinsTheNextBatch_beforeTheRequestsOfOthers() {
    for (int i = 0; i < 10; i++) {
      add(1000, "many");
      add(1000, "caller " + i);
    }
    take(100); // All callers have had their first turn.
    ImageTask single = add(1, "new");
    assertThat(take(8).get(0)).isEqualTo(new BatchSlice(single, 0, 1));
  }

  @Test
  void nextChunkOfAStream_makesItsCallerNotNew() {
    QueuedRequest stream = request("stream", 1000);
    add(4, stream);
    ImageTask large = add(1000, "b");
    take(8);
    ImageTask next = add(8, stream);
    assertThat(take(8)).containsExactly(new BatchSlice(large, 4, 4), new BatchSlice(next, 0, 4));
  }

  @Test
  void imagesAhead_countsOtherCallers_byTheirShare() {
    for (int i = 0; i < 10; i++) {
      add(10_000, "many");
    }
    add(10_000, "other");
    take(200);
    assertThat(queue.imagesAhead("new", 104, Priority.NORMAL)).isEqualTo(200);
    assertThat(queue.imagesAhead("other", 104, Priority.NORMAL)).isEqualTo(304);
    assertThat(queue.imagesAhead("many", 104, Priority.NORMAL)).isEqualTo(2104);
  }

  @Test
  void tightDeadline_goesFirst_andOneThatIsFarAwayDoesNot() {
    add(4);
    add(4);
    add(4);
    ImageTask relaxed = add(4, 10_000);
    ImageTask tight = add(4, 150); // At its fair share it would be done after 20 images, 200 ns.
    List<BatchSlice> batch = take(8);
    assertThat(batch.get(0)).isEqualTo(new BatchSlice(tight, 0, 4));
    assertThat(batch).noneMatch(slice -> slice.task() == relaxed);
  }

  @Test
  void earliestOfTightDeadlines_goesFirst() {
    ImageTask second = add(4, 120);
    ImageTask first = add(4, 110);
    add(100);
    assertThat(take(8)).containsExactly(new BatchSlice(first, 0, 4), new BatchSlice(second, 0, 4));
  }

  @Test
  void deadlineAcrossTheClocksWrap_isStillAhead() {
    QueuedRequest request =
        new QueuedRequest(CALLER, Priority.NORMAL, true, Long.MIN_VALUE + 100, requests++, 4);
    ImageTask task = task(4);
    queue.reserve(request, 4);
    queue.add(request, task, Long.MAX_VALUE - 100);
    assertThat(queue.removeExpired(Long.MAX_VALUE - 50)).isEmpty();
    assertThat(queue.removeExpired(Long.MIN_VALUE + 100)).containsExactly(task);
    assertThat(queue.images()).isZero();
  }

  @Test
  void expired_leaveTheQueue_withWhatIsLeftOfThem() {
    ImageTask early = add(6, 50);
    ImageTask later = add(6, 80);
    take(8);
    assertThat(queue.removeExpired(49)).isEmpty();
    assertThat(queue.removeExpired(50)).containsExactly(early);
    assertThat(queue.images()).isEqualTo(2);
    assertThat(take(8)).containsExactly(new BatchSlice(later, 4, 2));
  }

  @Test
  void remove_ofPartlyTakenJob_freesWhatIsLeft() {
    ImageTask large = add(12);
    ImageTask small = add(2);
    take(8);
    assertThat(remove(large)).isEqualTo(6);
    assertThat(remove(large)).isZero();
    assertThat(remove(small)).as("all taken").isZero();
    assertThat(queue.images()).isZero();
    assertThat(queue.requests()).isZero();
  }

  @Test
  void nextChunkOfAStream_keepsItsTurn() {
    ImageTask chunk = add(4);
    ImageTask other = add(100);
    take(8);
    ImageTask next = add(8, requestOf(chunk));
    ImageTask single = add(1);
    assertThat(take(8))
        .containsExactly(
            new BatchSlice(single, 0, 1), new BatchSlice(other, 4, 4), new BatchSlice(next, 0, 3));
  }

  @Test
  void interruptedFirstTurn_isContinuedBeforeOldRequests() {
    for (int i = 0; i < 10; i++) {
      add(1000);
    }
    take(200); // All have had their first turn.
    ImageTask newRequest = add(4);
    int batches = 0;
    int made = 0;
    while (made < 4) {
      batches++;
      for (BatchSlice slice : take(2)) {
        made += slice.task() == newRequest ? slice.count() : 0;
      }
    }
    assertThat(batches).isLessThanOrEqualTo(4);
  }

  @Test
  void imagesAhead_growsWithTheRequestAndTheQueue() {
    for (int i = 0; i < 10; i++) {
      add(10_000);
    }
    take(200);
    assertThat(queue.imagesAhead(CALLER, 1, Priority.NORMAL)).isZero();
    assertThat(queue.imagesAhead(CALLER, 104, Priority.NORMAL)).isEqualTo(1000);
    assertThat(queue.imagesAhead(CALLER, 1_000_000, Priority.NORMAL))
        .as("all there is")
        .isEqualTo(99_800);
    add(1);
    assertThat(queue.imagesAhead(CALLER, 1, Priority.NORMAL)).isEqualTo(8);
  }

  @Test
  void imagesAhead_countsWhatAStreamHasNotQueuedYet() {
    QueuedRequest stream =
        new QueuedRequest(CALLER, Priority.NORMAL, false, 0, requests++, 100_000);
    add(256, stream);
    assertThat(queue.imagesAhead(CALLER, 1_000_000, Priority.NORMAL)).isEqualTo(100_000);
    take(256);
    assertThat(queue.imagesAhead(CALLER, 1_000_000, Priority.NORMAL))
        .as("nothing waits now")
        .isZero();
    ImageTask next = add(256, stream);
    assertThat(queue.imagesAhead(CALLER, 1_000_000, Priority.NORMAL)).isEqualTo(99_744);
    remove(next);
    assertThat(queue.imagesAhead(CALLER, 1_000_000, Priority.NORMAL)).isZero();
  }

  @Test
  void anyOrderOfEvents_runsEveryImageOnce() {
    Random random = new Random(5);
    List<ImageTask> tasks = new ArrayList<>();
    Map<ImageTask, Integer> taken = new HashMap<>();
    Map<ImageTask, Integer> removed = new HashMap<>();
    for (int i = 0; i < 20_000; i++) {
      switch (random.nextInt(5)) {
        case 0 -> tasks.add(add(1 + random.nextInt(50), PRIORITIES.get(random.nextInt(3))));
        case 4 -> tasks.add(add(1 + random.nextInt(10), "caller " + random.nextInt(9)));
        case 1 -> tasks.add(add(1 + random.nextInt(50), i + random.nextInt(200)));
        case 2 ->
            queue
                .take(1 + random.nextInt(40), i, NANOS_PER_IMAGE)
                .forEach(
                    slice -> {
                      assertThat(slice.first()).isEqualTo(taken.getOrDefault(slice.task(), 0));
                      taken.merge(slice.task(), slice.count(), Integer::sum);
                    });
        default -> {
          if (random.nextInt(4) == 0 && !tasks.isEmpty()) {
            ImageTask task = tasks.get(random.nextInt(tasks.size()));
            removed.merge(task, remove(task), Integer::sum);
          }
        }
      }
    }
    while (queue.images() > 0) {
      queue
          .take(32, 20_000, NANOS_PER_IMAGE)
          .forEach(slice -> taken.merge(slice.task(), slice.count(), Integer::sum));
    }
    for (ImageTask task : tasks) {
      assertThat(taken.getOrDefault(task, 0) + removed.getOrDefault(task, 0)).isEqualTo(task.count);
    }
    assertThat(queue.requests()).isZero();
  }

  private List<BatchSlice> take(int room) {
    return queue.take(room, 0, NANOS_PER_IMAGE);
  }

  /** How many images of a caller are in so many batches. */
  private int imagesOf(String caller, int batches) {
    int images = 0;
    for (int i = 0; i < batches; i++) {
      for (BatchSlice slice : take(8)) {
        images += requestOf(slice.task()).caller.equals(caller) ? slice.count() : 0;
      }
    }
    return images;
  }

  private ImageTask add(int count) {
    return add(count, Priority.NORMAL);
  }

  private ImageTask add(int count, String caller) {
    return add(count, request(caller, count));
  }

  private QueuedRequest request(String caller, int count) {
    return new QueuedRequest(caller, Priority.NORMAL, false, 0, requests++, count);
  }

  private ImageTask add(int count, Priority priority) {
    return add(count, new QueuedRequest(CALLER, priority, false, 0, requests++, count));
  }

  private ImageTask add(int count, long deadline) {
    return add(
        count, new QueuedRequest(CALLER, Priority.NORMAL, true, deadline, requests++, count));
  }

  private ImageTask add(int count, QueuedRequest request) {
    ImageTask task = task(count);
    requestsByTask.put(task, request);
    queue.reserve(request, count);
    queue.add(request, task, 0);
    return task;
  }

  private int remove(ImageTask task) {
    return queue.remove(requestOf(task), task);
  }

  private QueuedRequest requestOf(ImageTask task) {
    return Objects.requireNonNull(requestsByTask.get(task));
  }

  private static ImageTask task(int count) {
    return new ImageTask(
        new float[count * LATENT], Network.NO_LABELS, LATENT, Output.PIXELS, 3, Runnable::run);
  }
}
