package dev.dcgan.sampler.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BatcherTest {

  private static final int LATENT = 2;
  private static final int BYTES = 3;

  private final GatedNetwork network = new GatedNetwork(LATENT, BYTES);
  private final QueueWatch watch = new QueueWatch();
  private final AtomicLong clock = new AtomicLong();
  private final Batcher batcher = start(network, new BatchPolicy(4, Duration.ZERO, 10), watch);

  @AfterEach
  void end() throws InterruptedException {
    batcher.close();
    network.permit(1000);
    assertThat(network.awaitClosed()).isTrue();
  }

  @Test
  void imagesOfManyJobs_shareBatches_andReturnToTheirCallers() throws Exception {
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
  void submit_beyondTheBound_isRefusedWithWhenToComeBack() throws Exception {
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = submit(latents(8, 0), Output.PIXELS);

    QueueFullException full =
        catchThrowableOfType(QueueFullException.class, () -> submit(latents(3, 0), Output.PIXELS));
    assertThat(full)
        .hasMessage("8 images are queued of at most 10, no room for 3 more; try again in 1 ms");
    assertThat(full.retryAfter()).isEqualTo(Duration.ofMillis(1));

    CompletableFuture<Images> fits = submit(latents(2, 0), Output.PIXELS);
    network.permit(10);
    CompletableFuture.allOf(running, queued, fits).get(30, TimeUnit.SECONDS);
  }

  @Test
  void cancelledJob_leavesTheQueueAtOnce() throws Exception {
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
  void jobCancelledWhileItRuns_losesItsRest() throws Exception {
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
  void failedRun_failsItsJobs_andTheNextOnesGoOn() throws Exception {
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
  void listenerThatThrows_leavesNobodyWaiting() throws Exception {
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
        };
    other.permit(2);
    try (Batcher overheard = start(other, new BatchPolicy(4, Duration.ZERO, 10), thrower)) {
      for (int i = 0; i < 2; i++) {
        CompletableFuture<Images> job =
            overheard.submit(anyRequest(overheard), latents(1, 0), Output.PIXELS, Runnable::run);
        assertThatThrownBy(() -> get(job)).hasRootCauseMessage("cannot count");
      }
    }
    assertThat(other.awaitClosed()).isTrue();
  }

  @Test
  void close_finishesWhatWasAccepted_thenClosesTheNetwork() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> queued = submit(latents(6, 0), Output.PIXELS);
    batcher.close();
    assertThatThrownBy(() -> submit(latents(1, 0), Output.PIXELS))
        .isInstanceOf(IllegalStateException.class);
    assertThat(batcher.awaitClosed(Duration.ofMillis(1))).isFalse();

    network.permit(10);
    assertThat(get(first).count()).isEqualTo(1);
    assertThat(get(queued).count()).isEqualTo(6);
    assertThat(batcher.awaitClosed(Duration.ofSeconds(30))).isTrue();
    assertThat(network.awaitClosed()).isTrue();
  }

  @Test
  void submit_ofHalfALatent_isAFault() {
    assertThatThrownBy(() -> submit(new float[3], Output.PIXELS))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("latents of 2");
    assertThat(watch.batches()).isEqualTo(List.of());
  }

  @Test
  void retryAfter_followsTheRateThatIsMeasured() throws Exception {
    for (int i = 0; i < 100; i++) {
      CompletableFuture<Images> image = occupy();
      clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(100)); // 1 image in 100 ms
      network.permit(1);
      get(image);
    }
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = submit(latents(8, 0), Output.PIXELS);
    QueueFullException full =
        catchThrowableOfType(QueueFullException.class, () -> submit(latents(3, 0), Output.PIXELS));
    assertThat(full.retryAfter()).isEqualTo(Duration.ofMillis(800));
    network.permit(10);
    CompletableFuture.allOf(running, queued).get(30, TimeUnit.SECONDS);
  }

  @Test
  void requestThatCannotMeetItsDeadline_isRefusedAtOnce() throws Exception {
    // 1 us a batch of any size, as measured: 0.24 ns an image in the largest, but never less than a
    // run.
    assertThatThrownBy(() -> batcher.admit(1, Priority.NORMAL, 999))
        .isInstanceOf(TooLateException.class)
        .hasMessageContaining("1 images would take about 1 ms with 0 queued");
    assertThat(batcher.admit(1, Priority.NORMAL, 1000)).isNotNull();
    assertThatThrownBy(() -> batcher.admit(1_000_000, Priority.NORMAL, 200_000))
        .as("4 images a microsecond")
        .isInstanceOf(TooLateException.class);
    assertThat(batcher.admit(1_000_000, Priority.NORMAL, 250_000_000)).isNotNull();
  }

  @Test
  void deadlineThatPasses_takesTheImagesOutOfTheQueue() throws Exception {
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> late =
        batcher.submit(
            batcher.admit(2, Priority.NORMAL, 1_000_000),
            latents(2, 0),
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
  void whoWasRefused_hearsWhenThereIsRoom() throws Exception {
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = submit(latents(10, 0), Output.PIXELS);
    CompletableFuture<Void> room = batcher.whenRoom();
    assertThat(room).isNotDone();
    queued.cancel(false);
    assertThat(room).isDone();
    assertThat(batcher.whenRoom()).as("nothing is queued").isDone();
    network.permit(1);
    assertThat(get(running).count()).isEqualTo(1);
  }

  @Test
  void idleSessions_shareWhatIsQueued_whereABatchOfAllTakesLonger() throws Exception {
    GatedNetwork one = new GatedNetwork(LATENT, BYTES);
    GatedNetwork two = new GatedNetwork(LATENT, BYTES);
    QueueWatch both = new QueueWatch();
    try (Batcher shared =
        Batcher.start(
            List.of(one, two),
            BatchTimes.of(new int[] {1, 8}, new long[] {1000, 7000}),
            new BatchPolicy(8, Duration.ZERO, 100),
            both,
            clock::get)) {
      while (shared.idle() < 2) {
        Thread.onSpinWait();
      }
      CompletableFuture<Images> images =
          shared.submit(anyRequest(shared), latents(8, 0), Output.PIXELS, Runnable::run);
      one.awaitStarted();
      two.awaitStarted();
      one.permit(1);
      two.permit(1);
      assertThat(get(images).bytes())
          .hasSize(8 * BYTES)
          .startsWith(0, 0, 0, 1)
          .endsWith(6, 7, 7, 7);
    }
    assertThat(both.batches()).containsExactly(4, 4);
    assertThat(one.awaitClosed() && two.awaitClosed()).isTrue();
  }

  private Batcher start(Network network, BatchPolicy policy, BatchListener listener) {
    return Batcher.start(List.of(network), GatedNetwork.TIMES, policy, listener, clock::get);
  }

  private CompletableFuture<Images> submit(float[] latents, Output output)
      throws QueueFullException {
    return batcher.submit(anyRequest(batcher), latents, output, Runnable::run);
  }

  private static Request anyRequest(Batcher batcher) {
    try {
      return batcher.admit(1, Priority.NORMAL, Batcher.NO_DEADLINE);
    } catch (TooLateException e) {
      throw new AssertionError("without a deadline", e);
    }
  }

  /** Submits one image and waits until it runs. */
  private CompletableFuture<Images> occupy() throws Exception {
    CompletableFuture<Images> job = submit(latents(1, 1), Output.PIXELS);
    network.awaitStarted();
    return job;
  }

  private static Images get(CompletableFuture<Images> job) throws Exception {
    return job.get(30, TimeUnit.SECONDS);
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
