package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.e2e.Prometheus.Series;
import dev.dcgan.e2e.Prometheus.Span;
import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.StopRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc.TrainerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Runs both packaged programs, and a Prometheus that scrapes both and evaluates the rules.
 *
 * <p>The trainer trains and publishes, and the sampler serves each version under {@link Callers}.
 * Three failures are injected: a sample grid cannot be written, a run diverges, and a version is
 * damaged.
 */
final class TestDeployment {

  /** A condition to wait for. */
  interface Condition {
    boolean holds() throws IOException, InterruptedException;
  }

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler");
  private static final Path RULES = Path.of("prometheus/rules");

  /** Seconds between scrapes. */
  private static final int SCRAPE = 1;

  private static final long PATIENCE_SECONDS = 120;

  private final Path folder;
  private final double start = now();

  // Mutable state. Only the thread that starts and stops the deployment uses it.
  private @Nullable Program trainer;
  private @Nullable Program sampler;
  private @Nullable ManagedChannel channel;
  private @Nullable Prometheus prometheus;
  private @Nullable Callers callers;

  TestDeployment(Path folder) {
    this.folder = folder;
  }

  /** Starts everything, and returns when Prometheus has seen every event that the tests need. */
  void start() throws IOException, InterruptedException {
    trainer = program(TRAINER, "serve", "--port=0", "--http-port=0");
    sampler =
        program(
            SAMPLER,
            "serve",
            "--repository=models",
            "--port=0",
            "--http-port=0",
            "--poll=200ms",
            "--drain-delay=0");
    Matcher trainerPorts = ports(trainer);
    Matcher samplerPorts = ports(sampler);
    configure(trainerPorts.group(2), samplerPorts.group(2));
    prometheus = Prometheus.start(folder);
    channel =
        Grpc.newChannelBuilder(
                "localhost:" + trainerPorts.group(1), InsecureChannelCredentials.create())
            .build();
    TrainerServiceBlockingStub runs = TrainerServiceGrpc.newBlockingStub(channel);

    Run first = begin(runs, small());
    // A folder in the place of a sample grid makes its write fail; training continues.
    Files.createDirectories(
        folder.resolve("runs").resolve(first.getId()).resolve("samples/epoch-001.png/occupied"));
    // The second version, or a later one if loading the first took long.
    sampler.awaitLine("serving mnist28/(?!1 )");
    // Rates need several scrapes of a run; an epoch may be shorter than the scrape interval.
    await(
        "quality in several scrapes",
        () -> isSeen("count_over_time(trainer_quality{figure=\"recall\"}[1m]) >= 5"));
    runs.stopRun(StopRunRequest.newBuilder().setRunId(first.getId()).build());
    long newest = awaitServed(sampler, runs, first, RunState.RUN_STATE_STOPPED);

    callers =
        Callers.on(
            Integer.parseInt(samplerPorts.group(1)), Integer.parseInt(samplerPorts.group(2)));
    begin(runs, small().setLearningRate(1e38f)); // This run diverges.
    await("warning", () -> isSeen("trainer_warning{kind=\"non_finite\"} == 1"));
    await("zero rejections", () -> isSeen("sampler_models_rejected_total == 0"));
    damagedVersion(newest + 1);
    await("rejected version", () -> isSeen("sampler_models_rejected_total == 1"));
    await("calls of each outcome", callers::hasAllOutcomes);
  }

  Prometheus prometheus() {
    if (prometheus == null) {
      throw new IllegalStateException("not started");
    }
    return prometheus;
  }

  /** The time from the first scrape to now. */
  Span all() {
    return new Span(start, now(), SCRAPE);
  }

  boolean isSeen(String expression) throws IOException, InterruptedException {
    return prometheus().range(expression, all()).stream().anyMatch(Series::hasValues);
  }

  void await(String what, Condition condition) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!condition.holds()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("no " + what);
      }
      TimeUnit.MILLISECONDS.sleep(200);
    }
  }

  /** Stops everything; when it returns, nothing writes to the folder. */
  void stop() throws InterruptedException {
    if (callers != null) {
      callers.close();
    }
    if (channel != null) {
      channel.shutdownNow();
    }
    if (prometheus != null) {
      prometheus.stop();
    }
    for (Program program : new @Nullable Program[] {sampler, trainer}) {
      if (program != null) {
        program.close();
        program.awaitExit();
      }
    }
  }

  private Program program(Path bin, String... arguments) throws IOException {
    return Program.start(
        folder,
        Stream.concat(Stream.of(bin.toAbsolutePath().toString()), Stream.of(arguments)).toList());
  }

  private static Matcher ports(Program program) throws InterruptedException {
    return program.awaitLine("gRPC on port (\\d+), metrics on http://localhost:(\\d+)/");
  }

  /** Configures both as targets, with the labels that all scrape configurations set. */
  private void configure(String trainerPort, String samplerPort) throws IOException {
    Path rules = Files.createDirectories(folder.resolve("rules"));
    try (Stream<Path> files = Files.list(RULES)) {
      for (Path file : files.toList()) {
        Files.copy(file, rules.resolve(file.getFileName()));
      }
    }
    Files.writeString(
        folder.resolve("prometheus.yml"),
        """
        global:
          scrape_interval: %1$ds
          evaluation_interval: %1$ds
        rule_files: ["rules/*.yml"]
        scrape_configs:
          - job_name: dcgan-trainer
            static_configs:
              - targets: ["localhost:%2$s"]
                labels: {namespace: dcgan, pod: trainer-0}
          - job_name: dcgan-sampler
            static_configs:
              - targets: ["localhost:%3$s"]
                labels: {namespace: dcgan, pod: sampler-0}
        """
            .formatted(SCRAPE, trainerPort, samplerPort));
  }

  /** A run of many small epochs, which the test stops when Prometheus has seen it. */
  private static RunConfig.Builder small() {
    return RunConfig.newBuilder()
        .setPreset("mnist28")
        .setDataset("digits")
        .setImages(1500)
        .setWidth(8)
        .setBatchSize(32)
        .setLearningRate(0.002f)
        .setEpochs(1000)
        .setEvaluateEvery(1)
        .setEvaluationImages(200)
        .setPublish("every 1");
  }

  private static Run begin(TrainerServiceBlockingStub runs, RunConfig.Builder config) {
    return runs.startRun(StartRunRequest.newBuilder().setConfig(config).build());
  }

  /** Waits until the run has this state and its last version is in service; returns the version. */
  private long awaitServed(
      Program sampler, TrainerServiceBlockingStub runs, Run run, RunState state)
      throws IOException, InterruptedException {
    GetRunRequest request = GetRunRequest.newBuilder().setRunId(run.getId()).build();
    await(
        "end of " + run.getId(),
        () -> runs.getRun(request).getStateValue() > RunState.RUN_STATE_RUNNING_VALUE);
    Run ended = runs.getRun(request);
    assertThat(ended.getState()).as(ended.getReason()).isEqualTo(state);
    long newest = ended.getPublished(ended.getPublishedCount() - 1).getVersion();
    sampler.awaitLine("serving mnist28/" + newest + " ");
    return newest;
  }

  private void damagedVersion(long version) throws IOException {
    Path model = folder.resolve("models/mnist28");
    Path damaged = Files.createDirectories(model.resolve(".damaged"));
    Files.writeString(damaged.resolve("model.onnx"), "damaged");
    Files.writeString(damaged.resolve("manifest.json"), "damaged");
    Files.move(damaged, model.resolve(Long.toString(version)));
  }

  private static double now() {
    return System.currentTimeMillis() / 1e3;
  }
}
