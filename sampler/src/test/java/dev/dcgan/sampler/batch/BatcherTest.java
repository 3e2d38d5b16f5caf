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
  private final Batcher batcher =
      Batcher.start(network, new BatchPolicy(4, Duration.ZERO, 10), watch, clock::get);

  @AfterEach
  void end() throws InterruptedException {
    batcher.close();
    network.permit(1000);
    assertThat(network.awaitClosed()).isTrue();
  }

  @Test
  void imagesOfManyJobs_shareBatches_andReturnToTheirCallers() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> three = batcher.submit(latents(3, 20), Output.PIXELS);
    CompletableFuture<Images> five = batcher.submit(latents(5, 30), Output.FLOATS);
    network.permit(10);

    assertThat(get(first).bytes()).containsExactly(1, 1, 1);
    assertThat(get(three).bytes()).containsExactly(20, 20, 20, 21, 21, 21, 22, 22, 22);
    assertThat(get(five).bytes()).hasSize(5 * BYTES * 4).startsWith(30).endsWith(34);
    assertThat(watch.batches()).containsExactly(1, 4, 4);
  }

  @Test
  void submit_beyondTheBound_isRefusedWithWhenToComeBack() throws Exception {
    CompletableFuture<Images> first = occupy();
    clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(100)); // 1 image in 100 ms
    network.permit(1);
    get(first);
    CompletableFuture<Images> running = occupy();
    CompletableFuture<Images> queued = batcher.submit(latents(8, 0), Output.PIXELS);

    QueueFullException full =
        catchThrowableOfType(
            QueueFullException.class, () -> batcher.submit(latents(3, 0), Output.PIXELS));
    assertThat(full)
        .hasMessage("8 images are queued of at most 10, no room for 3 more; try again in 800 ms");
    assertThat(full.retryAfter()).isEqualTo(Duration.ofMillis(800));

    CompletableFuture<Images> fits = batcher.submit(latents(2, 0), Output.PIXELS);
    network.permit(10);
    CompletableFuture.allOf(running, queued, fits).get(30, TimeUnit.SECONDS);
  }

  @Test
  void cancelledJob_leavesTheQueueAtOnce() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> cancelled = batcher.submit(latents(6, 0), Output.PIXELS);
    CompletableFuture<Images> other = batcher.submit(latents(2, 50), Output.PIXELS);
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
    CompletableFuture<Images> large = batcher.submit(latents(9, 0), Output.PIXELS);
    network.awaitStarted();
    watch.awaitQueued(5);
    large.cancel(false);
    watch.awaitQueued(0);

    CompletableFuture<Images> next = batcher.submit(latents(1, 7), Output.PIXELS);
    network.permit(10);
    assertThat(get(next).bytes()).containsExactly(7, 7, 7);
    assertThat(watch.batches()).containsExactly(4, 1);
  }

  @Test
  void failedRun_failsItsJobs_andTheNextOnesGoOn() throws Exception {
    CompletableFuture<Images> large = batcher.submit(latents(9, 0), Output.PIXELS);
    network.awaitStarted();
    network.breakDown();
    network.permit(1);

    assertThatThrownBy(() -> get(large))
        .isInstanceOf(ExecutionException.class)
        .hasRootCauseMessage("the network is broken");
    watch.awaitQueued(0);
    CompletableFuture<Images> next = batcher.submit(latents(1, 0), Output.PIXELS);
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
          public void executed(int images, long nanos) {
            throw new IllegalStateException("cannot count");
          }
        };
    other.permit(2);
    try (Batcher overheard =
        Batcher.start(other, new BatchPolicy(4, Duration.ZERO, 10), thrower, clock::get)) {
      for (int i = 0; i < 2; i++) {
        CompletableFuture<Images> job = overheard.submit(latents(1, 0), Output.PIXELS);
        assertThatThrownBy(() -> get(job)).hasRootCauseMessage("cannot count");
      }
    }
    assertThat(other.awaitClosed()).isTrue();
  }

  @Test
  void close_finishesWhatWasAccepted_thenClosesTheNetwork() throws Exception {
    CompletableFuture<Images> first = occupy();
    CompletableFuture<Images> queued = batcher.submit(latents(6, 0), Output.PIXELS);
    batcher.close();
    assertThatThrownBy(() -> batcher.submit(latents(1, 0), Output.PIXELS))
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
    assertThatThrownBy(() -> batcher.submit(new float[3], Output.PIXELS))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("latents of 2");
    assertThat(watch.batches()).isEqualTo(List.of());
  }

  /** Submits one image and waits until it runs. */
  private CompletableFuture<Images> occupy() throws Exception {
    CompletableFuture<Images> job = batcher.submit(latents(1, 1), Output.PIXELS);
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
