package dev.dcgan.sampler.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.dcgan.sampler.runtime.RuntimeFailure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BatchSchedulerTest {

  private static final int LATENT = 2;
  private static final int BYTES = 3;

  /** Of which one caller may have 10. */
  private static final int MAX_QUEUE = 14;

  private final GatedNetwork network = new GatedNetwork(LATENT, BYTES);
  private final QueueWatch watch = new QueueWatch();
  private final AtomicLong clock = new AtomicLong();
  private final BatchScheduler scheduler =
      start(network, new BatchingPolicy(4, Duration.ZERO, MAX_QUEUE), watch);

  @AfterEach
  void end() throws InterruptedException {
    scheduler.close();
    network.permit(1000);
    assertThat(network.awaitClosed()).isTrue();
  }

  @Test
  void imagesOfManyTasks_shareBatches_andReturnToTheirCallers() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> three = submit(latents(3, 20), Output.PIXELS);
    CompletableFuture<Images> five = submit(latents(5, 30), Output.FLOATS);
    network.permit(10);

    assertThat(get(first).bytes()).containsExactly(1, 1, 1);
    assertThat(get(three).bytes()).containsExactly(20, 20, 20, 21, 21, 21, 22, 22, 22);
    assertThat(get(five).bytes()).hasSize(5 * BYTES * 4).startsWith(30).endsWith(34);
    assertThat(watch.batches()).containsExactly(1, 4, 4);
  }

  @Test
  void submit_toAFullQueue_isRejectedWithARetryDelay() throws Exception {
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = submit(latents(8, 0), Output.PIXELS);

    QueueFullException full =
        catchThrowableOfType(QueueFullException.class, () -> submit(latents(3, 0), Output.PIXELS));
    assertThat(full)
        .hasMessageContainingAll("3 images", "8 images", "at most 14", "8 of this caller", "1 ms");
    assertThat(full.retryAfter()).isEqualTo(Duration.ofMillis(1));

    CompletableFuture<Images> fits = submit(latents(2, 0), Output.PIXELS);
    network.permit(10);
    CompletableFuture.allOf(running, queued, fits).get(30, TimeUnit.SECONDS);
  }

  @Test
  void callerThatFloods_leavesRoomForOthers() throws Exception {
    CompletableFuture<Images> running = occupy();
    List<CompletableFuture<Images>> queued = new ArrayList<>();
    // 3/(3n+1) of the queue each, in round numbers: 10 of 14, and 3 of the 4 that are left.
    queued.addAll(submitUntilFull("first", 10));
    queued.addAll(submitUntilFull("second", 3));
    queued.addAll(submitUntilFull("third", 1));
    submitUntilFull("fourth", 0);
    network.permit(10);
    CompletableFuture.allOf(queued.toArray(CompletableFuture<?>[]::new)).get(30, TimeUnit.SECONDS);
    assertThat(get(running).count()).isEqualTo(1);

    // Room that is reserved counts too, and is free again when it is released.
    QueuedRequest reserved =
        scheduler.admit("first", 10, 10, Priority.NORMAL, BatchScheduler.NO_DEADLINE);
    assertThatThrownBy(
            () -> scheduler.admit("first", 1, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE))
        .isInstanceOf(QueueFullException.class)
        .hasMessageContaining("10 images are queued of at most 14, of them 10 of this caller");
    scheduler.reserve(reserved, 10); // Of the room that it has.
    scheduler.release(reserved);
    assertThat(scheduler.admit("first", 10, 10, Priority.NORMAL, BatchScheduler.NO_DEADLINE))
        .isNotNull();
  }

  @Test
  void cancelledTask_leavesTheQueueAtOnce() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> cancelled = submit(latents(6, 0), Output.PIXELS);
    CompletableFuture<Images> other = submit(latents(2, 50), Output.PIXELS);
    watch.awaitQueued(8);

    cancelled.cancel(false);
    watch.awaitQueued(2);
    network.permit(10);
    assertThat(get(other).count()).isEqualTo(2);
    assertThat(get(first).count()).isEqualTo(1);
    assertThat(watch.batches()).containsExactly(1, 2);
  }

  @Test
  void taskCancelledWhileItRuns_leavesTheQueue() throws Exception {
    CompletableFuture<Images> large = submit(latents(9, 0), Output.PIXELS);
    network.awaitStarted();
    watch.awaitQueued(5);
    large.cancel(false);
    watch.awaitQueued(0);

    CompletableFuture<Images> next = submit(latents(1, 7), Output.PIXELS);
    network.permit(10);
    assertThat(get(next).bytes()).containsExactly(7, 7, 7);
    assertThat(watch.batches()).containsExactly(4, 1);
  }

  @Test
  void failedRun_failsItsTasks_andTheSchedulerGoesOn() throws Exception {
    CompletableFuture<Images> large = submit(latents(9, 0), Output.PIXELS);
    network.awaitStarted();
    network.breakDown();
    network.permit(1);

    assertThatThrownBy(() -> get(large))
        .isInstanceOf(ExecutionException.class)
        .hasRootCauseMessage("the network is broken");
    watch.awaitQueued(0);
    CompletableFuture<Images> next = submit(latents(1, 0), Output.PIXELS);
    network.permit(1);
    assertThatThrownBy(() -> get(next)).hasRootCauseMessage("the network is broken");
  }

  @Test
  void listenerThatThrows_leavesNoCallerWaiting() throws Exception {
    GatedNetwork other = new GatedNetwork(LATENT, BYTES);
    BatchListener thrower =
        new BatchListener() {
          @Override
          public void queueChanged(int images) {}

          @Override
          public void waited(long nanos) {}

          @Override
          public void executed(int images, int padded, long nanos) {
            throw new IllegalStateException("cannot count");
          }

          @Override
          public void failed(Failure.Kind kind) {}
        };
    other.permit(2);
    BatchingPolicy policy = new BatchingPolicy(4, Duration.ZERO, 10);
    try (BatchScheduler throwing = start(other, policy, thrower)) {
      for (int i = 0; i < 2; i++) {
        CompletableFuture<Images> task =
            throwing.submit(
                anyRequest(throwing),
                latents(1, 0),
                Network.NO_LABELS,
                Output.PIXELS,
                Runnable::run);
        assertThatThrownBy(() -> get(task)).hasRootCauseMessage("cannot count");
      }
    }
    assertThat(other.awaitClosed()).isTrue();
  }

  @Test
  void close_finishesAcceptedTasks_thenClosesTheNetwork() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> queued = submit(latents(6, 0), Output.PIXELS);
    scheduler.close();
    assertThatThrownBy(() -> submit(latents(1, 0), Output.PIXELS))
        .isInstanceOf(IllegalStateException.class);
    assertThat(scheduler.awaitClosed(Duration.ofMillis(1))).isFalse();

    network.permit(10);
    assertThat(get(first).count()).isEqualTo(1);
    assertThat(get(queued).count()).isEqualTo(6);
    assertThat(scheduler.awaitClosed(Duration.ofSeconds(30))).isTrue();
    assertThat(network.awaitClosed()).isTrue();
  }

  @Test
  void submit_ofHalfALatent_isRejected() {
    assertThatThrownBy(() -> submit(new float[3], Output.PIXELS))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("latents of 2");
    assertThat(watch.batches()).isEqualTo(List.of());
  }

  @Test
  void retryAfter_followsTheObservedLatency() throws Exception {
    for (int i = 0; i < 100; i++) {
      CompletableFuture<Images> image = occupy();
      clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(100)); // A batch of any size in 100 ms.
      network.permit(1);
      get(image);
    }
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = submit(latents(8, 0), Output.PIXELS);
    QueueFullException full =
        catchThrowableOfType(QueueFullException.class, () -> submit(latents(3, 0), Output.PIXELS));
    assertThat(full.retryAfter()).isEqualTo(Duration.ofMillis(200));
    network.permit(10);
    CompletableFuture.allOf(running, queued).get(30, TimeUnit.SECONDS);
  }

  @Test
  void requestThatCannotMeetItsDeadline_isRejectedAtOnce() throws Exception {
    // The profile says 1 us for a batch of any size: 0.24 ns per image, but at least one run.
    assertThatThrownBy(() -> scheduler.admit("caller", 1, 1, Priority.NORMAL, 999))
        .isInstanceOf(TooLateException.class)
        .hasMessageContainingAll("1 images", "about 1 ms", "0 images queued", "0 ms are left");
    assertThat(scheduler.admit("caller", 1, 1, Priority.NORMAL, 1000)).isNotNull();
    assertThatThrownBy(() -> scheduler.admit("caller", 1_000_000, 1, Priority.NORMAL, 200_000))
        .as("4 images a microsecond")
        .isInstanceOf(TooLateException.class);
    assertThat(scheduler.admit("caller", 1_000_000, 1, Priority.NORMAL, 250_000_000)).isNotNull();
  }

  @Test
  void expiredDeadline_removesTheImagesFromTheQueue() throws Exception {
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> late =
        scheduler.submit(
            scheduler.admit("caller", 2, 1, Priority.NORMAL, 1_000_000),
            latents(2, 0),
            Network.NO_LABELS,
            Output.PIXELS,
            Runnable::run);
    CompletableFuture<Images> patient = submit(latents(2, 50), Output.PIXELS);
    clock.addAndGet(1_000_000);
    network.permit(2);

    assertThatThrownBy(() -> get(late)).hasCauseInstanceOf(TooLateException.class);
    assertThat(get(patient).bytes()).startsWith(50);
    assertThat(get(running).count()).isEqualTo(1);
    assertThat(watch.batches()).containsExactly(1, 2);
  }

  @Test
  void whenRoom_completesWhenImagesLeaveTheQueue() throws Exception {
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = submit(latents(10, 0), Output.PIXELS);
    CompletableFuture<Void> room = scheduler.whenRoom();
    assertThat(room).isNotDone();
    queued.cancel(false);
    assertThat(room).isDone();
    assertThat(scheduler.whenRoom()).as("nothing is queued").isDone();
    network.permit(1);
    assertThat(get(running).count()).isEqualTo(1);
  }

  @Test
  void idleSessions_shareTheQueue_whereOneBatchTakesLonger() throws Exception {
    GatedNetwork one = new GatedNetwork(LATENT, BYTES);
    GatedNetwork two = new GatedNetwork(LATENT, BYTES);
    QueueWatch both = new QueueWatch();
    try (BatchScheduler shared =
        BatchScheduler.start(
            "digits/1",
            List.of(one, two),
            LatencyProfile.of(new int[] {1, 8}, new long[] {1000, 7000}),
            new BatchingPolicy(8, Duration.ZERO, 100),
            both,
            guard(),
            clock::get)) {
      while (shared.idleSessions() < 2) {
        Thread.onSpinWait();
      }
      CompletableFuture<Images> images =
          shared.submit(
              anyRequest(shared), latents(8, 0), Network.NO_LABELS, Output.PIXELS, Runnable::run);
      one.awaitStarted();
      two.awaitStarted();
      assertThat(both.queued()).as("a share for the session that finishes first").isEqualTo(2);
      one.permit(8);
      two.permit(8);
      assertThat(get(images).bytes())
          .hasSize(8 * BYTES)
          .startsWith(0, 0, 0, 1)
          .endsWith(6, 7, 7, 7);
    }
    assertThat(both.batches()).contains(4, 2);
    assertThat(one.awaitClosed() && two.awaitClosed()).isTrue();
  }

  @Test
  void tasksOfOneExecutor_areCompletedByOneCall() throws Exception {
    List<Runnable> here = new ArrayList<>();
    List<Runnable> there = new ArrayList<>();
    Executor first = here::add;
    Executor second = there::add;
    CompletableFuture<Images> running = occupy();
    List<CompletableFuture<Images>> tasks = new ArrayList<>();
    for (Executor executor : List.of(first, second, first, first)) {
      tasks.add(
          scheduler.submit(
              anyRequest(scheduler), latents(1, 7), Network.NO_LABELS, Output.PIXELS, executor));
    }
    network.permit(2);
    assertThat(get(running).count()).isEqualTo(1);
    // The next batch runs when this one's tasks have been handed to their executors.
    CompletableFuture<Images> next = submit(latents(1, 9), Output.PIXELS);
    network.permit(1);
    assertThat(get(next).count()).isEqualTo(1);

    assertThat(tasks).noneMatch(CompletableFuture::isDone);
    assertThat(here).hasSize(1);
    assertThat(there).hasSize(1);
    here.get(0).run();
    assertThat(tasks.get(0)).isDone();
    assertThat(tasks.get(2)).isDone();
    assertThat(tasks.get(3)).isDone();
    assertThat(tasks.get(1)).isNotDone();
    there.get(0).run();
    assertThat(get(tasks.get(1)).bytes()).startsWith(7);
  }

  @Test
  void executorThatRejects_leavesNoCallerWaiting() throws Exception {
    Executor ended =
        command -> {
          throw new RejectedExecutionException("ended");
        };
    CompletableFuture<Images> task =
        scheduler.submit(
            anyRequest(scheduler), latents(1, 3), Network.NO_LABELS, Output.PIXELS, ended);
    network.permit(1);
    assertThat(get(task).bytes()).startsWith(3);
  }

  @Test
  void callerWithOneRequest_doesNotWaitForAllOfACallerWithTen() throws Exception {
    CompletableFuture<Images> running = occupy();
    List<CompletableFuture<Images>> tasks = new ArrayList<>();
    for (String caller : List.of("ten", "ten", "ten", "ten", "ten", "ten", "ten", "ten", "one")) {
      tasks.add(
          scheduler.submit(
              scheduler.admit(caller, 1, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE),
              latents(1, 7),
              Network.NO_LABELS,
              Output.PIXELS,
              Runnable::run));
    }
    network.permit(3); // The image that runs, and two batches of four.
    assertThat(get(tasks.get(8)).count()).isEqualTo(1);
    assertThat(get(running).count()).isEqualTo(1);
    assertThat(tasks.get(7)).isNotDone();
    network.permit(10);
    assertThat(get(tasks.get(7)).count()).isEqualTo(1);
  }

  @Test
  void manyRequests_ofOneImage_shareLargerBatches() throws Exception {
    GatedNetwork other = new GatedNetwork(LATENT, BYTES);
    QueueWatch sizes = new QueueWatch();
    try (BatchScheduler small =
        BatchScheduler.start(
            "digits/1",
            List.of(other),
            LatencyProfile.of(new int[] {1}, new long[] {1000}), // An image never gets cheaper.
            new BatchingPolicy(100, Duration.ZERO, 1000),
            sizes,
            guard(),
            clock::get)) {
      List<CompletableFuture<Images>> tasks = new ArrayList<>();
      for (int i = 0; i < 41; i++) {
        tasks.add(
            small.submit(
                anyRequest(small), latents(1, i), Network.NO_LABELS, Output.PIXELS, Runnable::run));
        if (i == 0) {
          other.awaitStarted();
        }
      }
      other.permit(100);
      for (CompletableFuture<Images> task : tasks) {
        assertThat(get(task).count()).isEqualTo(1);
      }
    }
    assertThat(sizes.batches()).startsWith(1, 10, 7, 5, 4, 3, 2).endsWith(1);
  }

  private BatchScheduler start(Network network, BatchingPolicy policy, BatchListener listener) {
    return BatchScheduler.start(
        "digits/1", List.of(network), GatedNetwork.TIMES, policy, listener, guard(), clock::get);
  }

  private RunGuard guard() {
    return new RunGuard(
        new DeviceHealth(), RuntimeFailure::of, Duration.ZERO, clock::get, RunGuard::sleep);
  }

  private CompletableFuture<Images> submit(float[] latents, Output output)
      throws QueueFullException {
    QueuedRequest request = anyRequest(scheduler);
    try {
      return scheduler.submit(request, latents, Network.NO_LABELS, output, Runnable::run);
    } catch (QueueFullException e) {
      scheduler.release(request);
      throw e;
    }
  }

  /** Submits single images of a caller until they are refused, after so many. */
  private List<CompletableFuture<Images>> submitUntilFull(String caller, int expected)
      throws Exception {
    List<CompletableFuture<Images>> tasks = new ArrayList<>();
    for (int i = 0; i < expected; i++) {
      QueuedRequest request =
          scheduler.admit(caller, 1, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE);
      tasks.add(
          scheduler.submit(
              request, latents(1, i), Network.NO_LABELS, Output.PIXELS, Runnable::run));
    }
    assertThatThrownBy(
            () -> scheduler.admit(caller, 1, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE))
        .isInstanceOf(QueueFullException.class);
    return tasks;
  }

  private static QueuedRequest anyRequest(BatchScheduler scheduler) {
    try {
      return scheduler.admit("caller", 1, 1, Priority.NORMAL, BatchScheduler.NO_DEADLINE);
    } catch (TooLateException | QueueFullException e) {
      throw new AssertionError("without a deadline", e);
    }
  }

  /** Submits one image and waits until it runs. */
  private CompletableFuture<Images> occupy() throws Exception {
    CompletableFuture<Images> task = submit(latents(1, 1), Output.PIXELS);
    network.awaitStarted();
    return task;
  }

  private static Images get(CompletableFuture<Images> task) throws Exception {
    return task.get(30, TimeUnit.SECONDS);
  }

  /** Latents that name the images first, first + 1 and so on. */
  private static float[] latents(int count, int first) {
    float[] z = new float[count * LATENT];
    for (int i = 0; i < count; i++) {
      z[i * LATENT] = first + i;
    }
    return z;
  }
}
