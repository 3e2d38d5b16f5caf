package dev.dcgan.trainer.cli;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.AccessOptions;
import dev.dcgan.server.GrpcLimitsOptions;
import dev.dcgan.server.LogOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.server.SizeConverter;
import dev.dcgan.server.Tracing;
import dev.dcgan.server.Validator;
import dev.dcgan.trainer.config.ResourceEstimate;
import dev.dcgan.trainer.metrics.DiskMetrics;
import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.service.RunLimits;
import dev.dcgan.trainer.service.TrainerServer;
import dev.dcgan.trainer.session.TrainingSession;
import dev.dcgan.trainer.torch.TrainingDevice;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer serve}: runs the trainer service. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Serves dcgan.v1.TrainerService: queues runs and trains them one at a time.",
      "A run that the end of the process interrupts is continued at the next start.",
      "If the GPU or its memory fails, the process ends with exit code 75: start it again.",
      "Every option has an environment variable: --data-root, DCGAN_DATA_ROOT."
    })
public final class ServeCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger(ServeCommand.class);

  @Option(names = "--port", description = "gRPC port; 0: any free port.")
  private int port = 50061;

  @Option(
      names = "--http-port",
      description = "HTTP port of the dashboard, /metrics, /healthz and /readyz; 0: any free port.")
  private int httpPort = 9401;

  @Option(
      names = "--http-address",
      paramLabel = "ADDRESS",
      description =
          "Address that HTTP listens on, if not --address. With localhost the dashboard has"
              + " actions: start, stop, resume, publish, and checkpoints to download. Default: that"
              + " of --address")
  private @Nullable InetAddress httpAddress;

  @Option(
      names = "--http-actions",
      description =
          "Let whoever reaches the HTTP port start, stop, resume and publish runs, and download"
              + " checkpoints.")
  private boolean httpActions;

  @Mixin private AccessOptions access = new AccessOptions();

  @Mixin private GrpcLimitsOptions grpcLimits = new GrpcLimitsOptions();

  @Mixin private LogOptions logging = new LogOptions();

  @Option(names = "--runs", paramLabel = "DIR", description = "Folder of the runs.")
  private Path runs = Path.of("runs");

  @Option(
      names = "--repository",
      paramLabel = "DIR",
      description = "Folder where models are published.")
  private Path repository = Path.of("models");

  @Mixin private SigningOptions signing = new SigningOptions();

  @Option(
      names = "--data-root",
      paramLabel = "DIR",
      description =
          "Folder whose files callers may name as data. Default: none, only the drawn digits")
  private @Nullable Path dataRoot;

  @Option(
      names = "--device",
      description =
          "Device of runs that name none: auto, cpu, cuda or cuda:N; auto is cuda if it works, else"
              + " cpu. Tested at start.")
  private String device = "auto";

  @Option(
      names = "--max-queued-runs",
      description = "Maximum number of queued runs; more are refused.")
  private int maxQueuedRuns = 100;

  @Option(names = "--max-epochs", description = "Maximum number of epochs of a run.")
  private int maxEpochs = RunLimits.DEFAULT.maxEpochs();

  @Option(names = "--max-images", description = "Maximum number of digits that a run draws.")
  private int maxImages = RunLimits.DEFAULT.maxImages();

  @Option(names = "--max-width", description = "Maximum base number of generator channels (ngf).")
  private int maxWidth = RunLimits.DEFAULT.maxWidth();

  @Option(names = "--max-batch", description = "Maximum number of images per batch.")
  private int maxBatch = RunLimits.DEFAULT.maxBatchSize();

  @Option(
      names = "--max-evaluation-images",
      paramLabel = "N",
      description = "Maximum number of generated images per evaluation.")
  private int maxEvaluationImages = RunLimits.DEFAULT.maxEvaluationImages();

  @Option(
      names = "--max-attempts",
      description =
          "Deaths of the process without a new checkpoint after which a run is FAILED, so that the"
              + " queue goes on.")
  private int maxAttempts = RunLimits.DEFAULT.maxAttempts();

  @Option(
      names = "--max-queued-per-caller",
      paramLabel = "N",
      description =
          "Maximum number of queued runs of one caller (token, certificate or else address)."
              + " Default: no limit")
  private @Nullable Integer maxQueuedPerCaller;

  @Option(
      names = "--max-runs-per-day",
      paramLabel = "N",
      description = "Maximum number of runs that one caller starts in 24 hours. Default: no limit")
  private @Nullable Integer maxRunsPerDay;

  @Option(
      names = "--max-disk-per-caller",
      paramLabel = "SIZE",
      converter = SizeConverter.class,
      description =
          "Disk, such as 20GiB, that the runs of one caller use before it may start no more."
              + " Default: no limit")
  private @Nullable Long maxDiskPerCaller;

  @Option(
      names = "--keep-runs",
      paramLabel = "N",
      description = "Remove all ended runs except the newest N. Default: keep them")
  private @Nullable Integer keepRuns;

  @Option(
      names = "--keep-days",
      paramLabel = "N",
      description = "Remove runs that ended more than N days ago. Default: keep them")
  private @Nullable Integer keepDays;

  @Option(
      names = "--drain-grace",
      showDefaultValue = Visibility.NEVER,
      description = "Time for the checkpoint and for active calls at shutdown. Default: 60s")
  private Duration drainGrace = Duration.ofSeconds(60);

  @Override
  public void check(Validator problems) {
    problems.requirePort("--port", port);
    problems.requirePort("--http-port", httpPort);
    access.check(problems);
    if (httpAddress != null) {
      access.checkAddress(problems, "--http-address", httpAddress);
    }
    grpcLimits.check(problems);
    logging.check(problems);
    signing.check(problems);
    problems.require(
        dataRoot == null || Files.isDirectory(dataRoot),
        "--data-root " + dataRoot + ": no such folder");
    problems.require(
        TrainingDevice.isChoice(device),
        "--device '%s': expected %s".formatted(device, TrainingDevice.CHOICES));
    problems.requireRange("--max-queued-runs", maxQueuedRuns, 1, 10_000);
    problems.requireRange("--max-epochs", maxEpochs, 1, 100_000);
    problems.requireRange("--max-images", maxImages, 2, 1_000_000);
    problems.requireRange("--max-width", maxWidth, 4, 512);
    problems.requireRange("--max-batch", maxBatch, 2, 65_536);
    problems.requireRange("--max-evaluation-images", maxEvaluationImages, 100, 100_000);
    problems.requireRange("--max-attempts", maxAttempts, 1, 1000);
    requireRange(problems, "--max-queued-per-caller", maxQueuedPerCaller, 1, 10_000);
    requireRange(problems, "--max-runs-per-day", maxRunsPerDay, 1, 100_000);
    requireRange(problems, "--keep-runs", keepRuns, 0, 1_000_000);
    requireRange(problems, "--keep-days", keepDays, 1, 36_500);
    problems.requireRange("--drain-grace (in s)", drainGrace.toSeconds(), 0, 3600);
    problems.requireNoTelemetry("bin/trainer"); // Exports are checked in ONNX Runtime.
  }

  private static void requireRange(
      Validator problems, String option, @Nullable Integer value, int min, int max) {
    if (value != null) {
      problems.requireRange(option, value, min, max);
    }
  }

  private static OptionalInt optional(@Nullable Integer value) {
    return value == null ? OptionalInt.empty() : OptionalInt.of(value);
  }

  @Override
  @SuppressWarnings("try") // Tracing ends with the block.
  public Integer call() throws IOException, InterruptedException {
    logging.apply();
    try (Tracing tracing = Tracing.start("dcgan-trainer")) {
      return serve();
    }
  }

  private int serve() throws IOException, InterruptedException {
    Shutdown shutdown = Shutdown.onSignal();
    if (httpAddress != null) {
      access.logExposure("HTTP", httpAddress);
    }
    TemporaryFolder.require(RunStore.cache(runs));
    // Loads the engine: the program ends here if a library does not load or the device does not
    // work.
    TrainingDevice where = TrainingDevice.select(device);
    AtomicFiles.createFolder(runs);
    AtomicFiles.createFolder(repository);
    ModelRepository models = ModelRepository.signing(repository, signing.key());
    PrometheusRegistry registry = new PrometheusRegistry();
    TrainerMetrics metrics = new TrainerMetrics(registry, InstantSource.system());
    metrics.device(where.toString(), device);
    DiskMetrics.register(registry, Map.of("runs", runs, "repository", repository));
    AtomicReference<@Nullable String> failure = new AtomicReference<>();
    TrainingSession session =
        new TrainingSession(
            models,
            Path.of(""),
            RunStore.cache(runs),
            metrics,
            Boolean.getBoolean("dcgan.terminal"));
    TrainerServer server =
        TrainerServer.start(
            new TrainerServer.Config(
                runs,
                dataRoot,
                device,
                maxQueuedRuns,
                port,
                httpPort,
                access.tls(),
                grpcLimits.limits(),
                httpAddress,
                httpActions,
                new RunLimits(
                    maxEpochs,
                    maxImages,
                    maxWidth,
                    maxBatch,
                    maxEvaluationImages,
                    maxAttempts,
                    optional(maxQueuedPerCaller),
                    optional(maxRunsPerDay),
                    maxDiskPerCaller == null
                        ? OptionalLong.empty()
                        : OptionalLong.of(maxDiskPerCaller),
                    optional(keepRuns),
                    optional(keepDays),
                    ResourceEstimate.physicalMemory(),
                    where.isGpu() ? where.gpuMemory() : OptionalLong.empty()),
                access.config()),
            session::train,
            new CheckpointPublisher(models, metrics::published),
            registry,
            failed -> {
              failure.set(failed);
              shutdown.request();
            });
    String scheme = access.tls() == null ? "http" : "https";
    log.info(
        "gRPC on port {}, metrics on {}://localhost:{}/metrics, dashboard on {}://localhost:{}/,"
            + " runs in {}, device {}",
        server.port(),
        scheme,
        server.httpPort(),
        scheme,
        server.httpPort(),
        runs,
        where);
    shutdown.await();
    String failed = failure.get();
    if (failed == null) {
      log.info(
          "shutting down: the active run writes a checkpoint and is continued at the next start");
    } else {
      log.error("shutting down with exit code {}: {}", Shutdown.TRY_AGAIN, failed);
    }
    server.drain(drainGrace);
    log.info("ended");
    return failed == null ? 0 : Shutdown.TRY_AGAIN;
  }
}
