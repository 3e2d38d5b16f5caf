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
 * Both packaged programs at work, and a Prometheus that scrapes both and evaluates the rules.
 *
 * <p>The trainer trains and publishes, the sampler takes over each version under {@link Callers};
 * and some things go wrong: a sheet cannot be written, a run diverges, a version is damaged.
 */
final class TestDeployment {

  /** Something to wait for. */
  interface Condition {
    boolean holds() throws IOException, InterruptedException;
  }

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler");
  private static final Path RULES = Path.of("prometheus/rules");

  /** How often Prometheus scrapes, in seconds. */
  private static final int SCRAPE = 1;

  private final Path folder;
  private final boolean demo;
  private final double start = now();

  // Mutable state, of the thread that starts and stops it.
  private @Nullable Program trainer;
  private @Nullable Program sampler;
  private @Nullable ManagedChannel channel;
  private @Nullable Prometheus prometheus;
  private @Nullable Callers callers;
  private double demoStart = start;

  /**
   * @param demo takes minutes, for pictures that have more to show
   */
  TestDeployment(Path folder, boolean demo) {
    this.folder = folder;
    this.demo = demo;
  }

  /** Starts all of it, and returns when everything that is to be seen was seen by Prometheus. */
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
    // In the way of a sheet, which is done without.
    Files.createDirectories(
        folder.resolve("runs").resolve(first.getId()).resolve("samples/epoch-001.png/occupied"));
    // The second or, where it was long at the one before, a later one.
    sampler.awaitLine("serving mnist28/(?!1 )");
    // Rates want more than one scrape of a run under way; an epoch may be shorter than a scrape.
    await(
        "quality in several scrapes",
        () -> isSeen("count_over_time(trainer_quality{figure=\"recall\"}[1m]) >= 5"));
    runs.stopRun(StopRunRequest.newBuilder().setRunId(first.getId()).build());
    long newest = awaitServed(sampler, runs, first, RunState.RUN_STATE_STOPPED);

    callers =
        Callers.on(
            Integer.parseInt(samplerPorts.group(1)), Integer.parseInt(samplerPorts.group(2)));
    demoStart = now() + 2 * SCRAPE; // Of the run before nothing is seen then.
    begin(runs, small().setLearningRate(1e38f)); // It diverges.
    await("warning", () -> isSeen("trainer_warning{kind=\"non_finite\"} == 1"));
    if (demo) {
      newest = awaitServed(sampler, runs, begin(runs, pretty()), RunState.RUN_STATE_SUCCEEDED);
    }
    await("count of none", () -> isSeen("sampler_models_rejected_total == 0"));
    damagedVersion(newest + 1);
    await("rejected version", () -> isSeen("sampler_models_rejected_total == 1"));
    await("calls of each end", callers::hasAllEnds);
    double enough = now() + (demo ? 25 : 0);
    await("more to see", () -> now() > enough);
  }

  Prometheus prometheus() {
    if (prometheus == null) {
      throw new IllegalStateException("not started");
    }
    return prometheus;
  }

  /** From the first scrape to now. */
  Span all() {
    return new Span(start, now(), SCRAPE);
  }

  /** What pictures show, in 130 steps or, where it was short, one for each scrape. */
  Span shown() {
    double from = demo ? demoStart : start;
    return new Span(from, now(), Math.max(SCRAPE, Math.floor((now() - from) / 130)));
  }

  boolean isSeen(String expression) throws IOException, InterruptedException {
    return prometheus().range(expression, all()).stream().anyMatch(Series::hasFigures);
  }

  void await(String what, Condition condition) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(demo ? 1500 : 120);
    while (!condition.holds()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("no " + what);
      }
      TimeUnit.MILLISECONDS.sleep(200);
    }
  }

  /** Ends all; when it returns, nothing writes to the folder any more. */
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

  /** Both as targets, with the labels that all scrape configurations give. */
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
          - job_name: trainer
            static_configs:
              - targets: ["localhost:%2$s"]
                labels: {namespace: dcgan, pod: trainer-0}
          - job_name: sampler
            static_configs:
              - targets: ["localhost:%3$s"]
                labels: {namespace: dcgan, pod: sampler-0}
        """
            .formatted(SCRAPE, trainerPort, samplerPort));
  }

  /** Until it is stopped: as long as it takes Prometheus to see it. */
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

  private static RunConfig.Builder pretty() {
    return RunConfig.newBuilder()
        .setPreset("mnist28-fast")
        .setModel("mnist28")
        .setDataset("digits")
        .setImages(8000)
        .setWidth(16)
        .setBatchSize(64)
        .setEpochs(14)
        .setEvaluateEvery(1)
        .setEvaluationImages(1000)
        .setCheckpointEvery(50)
        .setPublish("every 3");
  }

  private static Run begin(TrainerServiceBlockingStub runs, RunConfig.Builder config) {
    return runs.startRun(StartRunRequest.newBuilder().setConfig(config).build());
  }

  /** Waits until the run has ended so, and its last version is in service; returns that. */
  private long awaitServed(Program sampler, TrainerServiceBlockingStub runs, Run run, RunState end)
      throws IOException, InterruptedException {
    GetRunRequest it = GetRunRequest.newBuilder().setRunId(run.getId()).build();
    await(
        "end of " + run.getId(),
        () -> runs.getRun(it).getStateValue() > RunState.RUN_STATE_RUNNING_VALUE);
    Run ended = runs.getRun(it);
    assertThat(ended.getState()).as(ended.getReason()).isEqualTo(end);
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
