package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.torch.HostTensor;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * A service's runs over a folder, without network and without training; one life of the service.
 */
public final class TestRunManager {

  static final int MAX_QUEUED = 3;

  // Each look at it is a second later: runs are made in different ones.
  private static final AtomicLong seconds = new AtomicLong(1_800_000_000);
  public static final InstantSource CLOCK = () -> Instant.ofEpochSecond(seconds.incrementAndGet());

  final FakeTrainer trainer = new FakeTrainer();
  final FakePublishTarget target = new FakePublishTarget();
  final PrometheusRegistry registry = new PrometheusRegistry();
  final CompletableFuture<String> failed = new CompletableFuture<>();
  final RunStore store;
  final RunScheduler scheduler;
  final RunManager runs;

  private TestRunManager(
      Path folder, @Nullable Path dataRoot, List<Duration> retryDelays, RunLimits limits) {
    store = new RunStore(folder, CLOCK);
    scheduler =
        new RunScheduler(
            trainer, MAX_QUEUED, retryDelays, new RunStateMetrics(registry), failed::complete);
    runs =
        new RunManager(
            store,
            CLOCK,
            new DataRoot(dataRoot),
            "cuda:1",
            limits,
            scheduler,
            new CheckpointPublisher(target, () -> {}));
  }

  static TestRunManager start(Path folder, @Nullable Path dataRoot) throws IOException {
    return start(folder, dataRoot, List.of(Duration.ZERO, Duration.ZERO));
  }

  static TestRunManager start(Path folder, @Nullable Path dataRoot, List<Duration> retryDelays)
      throws IOException {
    return start(folder, dataRoot, retryDelays, RunLimits.DEFAULT);
  }

  static TestRunManager start(
      Path folder, @Nullable Path dataRoot, List<Duration> retryDelays, RunLimits limits)
      throws IOException {
    TestRunManager service = new TestRunManager(folder, dataRoot, retryDelays, limits);
    service.runs.recover();
    service.runs.begin();
    return service;
  }

  RunDirectory folder(Run run) {
    return store.find(run.getId()).orElseThrow();
  }

  /** Waits until a run that is not left yet has ended. */
  Run awaitEnd(String id) throws Exception {
    try (RunRecords.Hold hold = runs.watch(id)) {
      CountDownLatch ended = new CountDownLatch(1);
      Runnable listener =
          () -> {
            if (hold.record().hasEnded()) {
              ended.countDown();
            }
          };
      hold.record().addListener(listener);
      listener.run();
      assertThat(ended.await(30, TimeUnit.SECONDS)).as("run %s ends", id).isTrue();
      hold.record().removeListener(listener);
      return hold.record().run();
    }
  }

  String metrics() throws IOException {
    return metrics(registry);
  }

  /** As {@code /metrics} has them. */
  static String metrics(PrometheusRegistry registry) throws IOException {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    PrometheusTextFormatWriter.builder().build().write(text, registry.scrape());
    return text.toString(StandardCharsets.UTF_8);
  }

  static RunConfig config(int epochs) {
    return RunConfig.newBuilder().setEpochs(epochs).setModel("digits").build();
  }

  static Checkpoint checkpoint(int epoch) {
    return new Checkpoint(
        Architecture.mnist28(64, 16),
        new Hyperparameters(25, 128, 2e-4f, 0.5f, 0.999f, 1),
        new Checkpoint.Dataset("digits", "ab", 100),
        epoch,
        10L * epoch,
        Map.of("weight", HostTensor.of(new long[] {2}, 1, 2)));
  }

  void close() throws InterruptedException {
    target.permits.release(1000);
    assertThat(runs.close(Duration.ofSeconds(30))).isTrue();
  }
}
