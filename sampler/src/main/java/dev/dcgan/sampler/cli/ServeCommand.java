package dev.dcgan.sampler.cli;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.server.SamplerServer;
import dev.dcgan.server.AccessOptions;
import dev.dcgan.server.GrpcLimitsOptions;
import dev.dcgan.server.LogOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.server.Tracing;
import dev.dcgan.server.Validator;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler serve}: runs the inference server. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Serves the models of a repository over gRPC and HTTP.",
      "The newest valid version of each model is served, and newer ones as they are published.",
      "Every option has an environment variable: --max-batch is DCGAN_MAX_BATCH."
    })
public final class ServeCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger(ServeCommand.class);
  private static final int MAX_QUEUE_IMAGES = 1_000_000;
  private static final int MAX_KEEP_VERSIONS = 1000;
  private static final int MAX_MODEL_MEMORY_MIB = 1 << 20;
  private static final Duration MAX_EXIT_TIME = Duration.ofSeconds(5);
  private static final String ORIGIN_RULE =
      "* or http(s)://HOST[:PORT] in lower case, without a path";

  @Mixin private RepositoryOptions repository = new RepositoryOptions();

  @Option(
      names = "--model",
      split = ",",
      showDefaultValue = Visibility.NEVER,
      description =
          "Model to serve; repeat it, or separate names by commas, for several. Default: all models"
              + " in the repository; an empty repository is polled until it has one")
  private List<String> models = List.of();

  @Option(
      names = "--keep-versions",
      description =
          "Versions of each model that stay in memory: the one in service and the newest others.")
  private int keepVersions = 1;

  @Option(
      names = "--model-memory",
      description =
          "Memory in MiB for versions that are loaded on demand, by the size of their model.onnx.")
  private int modelMemory = 1024;

  @Option(
      names = "--allow-pin",
      description = "Allow callers to set the version in service by SetServingVersion.")
  private boolean allowPin;

  @Option(
      names = "--allow-unverified",
      description = "Also serve versions without a manifest.json.")
  private boolean allowUnverified;

  @Option(names = "--port", description = "gRPC port; 0: any free port.")
  private int port = 50051;

  @Option(
      names = "--http-port",
      description =
          "HTTP port for the gallery (/), images, /metrics, /healthz and /readyz; 0: any free port.")
  private int httpPort = 9402;

  @Option(
      names = "--images-per-second",
      paramLabel = "N",
      description =
          "Images per second for each caller (token, certificate or else address); 0: no limit.")
  private int imagesPerSecond;

  @Option(
      names = "--no-http-images",
      description = "Serve neither images nor the gallery over HTTP.")
  private boolean noHttpImages;

  @Mixin private AccessOptions access = new AccessOptions();

  @Option(
      names = "--max-connection-age",
      showDefaultValue = Visibility.NEVER,
      description =
          "Age at which gRPC clients must reconnect, so that they find new replicas; calls in"
              + " progress finish. 0s: never. Default: 30m")
  private Duration maxConnectionAge = Duration.ofMinutes(30);

  @Mixin private GrpcLimitsOptions grpcLimits = new GrpcLimitsOptions();

  @Mixin private LogOptions logging = new LogOptions();

  @Option(
      names = "--cors-origin",
      paramLabel = "ORIGIN",
      showDefaultValue = Visibility.NEVER,
      split = ",",
      description =
          "Web site whose scripts may read images and the list of models over HTTP (CORS), such as"
              + " https://example.org; repeat it, or separate several by commas; *: all."
              + " Default: none")
  private Set<String> corsOrigins = Set.of();

  @Mixin private RuntimeOptions runtime = new RuntimeOptions();

  @Option(
      names = "--max-delay",
      showDefaultValue = Visibility.NEVER,
      description = "Maximum time that an image waits for others to join its batch. Default: 2ms")
  private Duration maxDelay = Duration.ofMillis(2);

  @Option(
      names = "--max-queue-images",
      description =
          "Maximum of queued images, of which one caller has 3/4 at most; further ones are rejected.")
  private int maxQueueImages = 32_768;

  @Option(
      names = "--batch-timeout",
      showDefaultValue = Visibility.NEVER,
      description =
          "If a batch takes longer than this and than ten times its profiled latency, the device is"
              + " lost and the process exits with code 69. 0s: no timeout. Default: 60s")
  private Duration batchTimeout = Duration.ofSeconds(60);

  @Option(
      names = "--load-timeout",
      showDefaultValue = Visibility.NEVER,
      description =
          "If loading a version takes longer, it counts as failed and the version before is tried."
              + " 0s: no timeout. Default: 5m")
  private Duration loadTimeout = Duration.ofMinutes(5);

  @Option(
      names = "--poll",
      showDefaultValue = Visibility.NEVER,
      description = "Interval between looks for newer versions. Default: 2s")
  private Duration poll = Duration.ofSeconds(2);

  @Option(
      names = "--drain-delay",
      showDefaultValue = Visibility.NEVER,
      description = "On shutdown: time to accept calls after reporting NOT_SERVING. Default: 5s")
  private Duration drainDelay = Duration.ofSeconds(5);

  @Option(
      names = "--drain-grace",
      showDefaultValue = Visibility.NEVER,
      description =
          "On shutdown: time for calls in progress before they are cancelled. Default: 20s")
  private Duration drainGrace = Duration.ofSeconds(20);

  @Override
  public void check(Validator problems) {
    problems.requirePort("--port", port);
    problems.requirePort("--http-port", httpPort);
    access.check(problems);
    problems.requireRange("--images-per-second", imagesPerSecond, 0, 100_000_000);
    repository.check(problems);
    problems.require(
        !(allowUnverified && repository.requiresSignatures()),
        "--allow-unverified and --trusted-keys: expected one of them, because a version without a"
            + " manifest is not signed");
    grpcLimits.check(problems);
    logging.check(problems);
    for (String origin : corsOrigins) {
      problems.requireMatches("--cors-origin", origin, ServeCommand::isOrigin, ORIGIN_RULE);
    }
    runtime.check(problems);
    problems.requireRange("--max-queue-images", maxQueueImages, 1, MAX_QUEUE_IMAGES);
    problems.requireRange("--max-delay (in us)", maxDelay.toNanos() / 1000, 0, 10_000_000);
    problems.requireRange("--batch-timeout (in ms)", batchTimeout.toMillis(), 0, 86_400_000);
    problems.requireRange("--load-timeout (in ms)", loadTimeout.toMillis(), 0, 86_400_000);
    problems.requireRange("--poll (in ms)", poll.toMillis(), 10, 3_600_000);
    problems.requireRange("--max-connection-age (in s)", maxConnectionAge.toSeconds(), 0, 1 << 30);
    problems.requireRange("--drain-delay (in s)", drainDelay.toSeconds(), 0, 3600);
    problems.requireRange("--drain-grace (in s)", drainGrace.toSeconds(), 0, 3600);
    problems.requireRange("--keep-versions", keepVersions, 1, MAX_KEEP_VERSIONS);
    problems.requireRange("--model-memory (in MiB)", modelMemory, 0, MAX_MODEL_MEMORY_MIB);
    for (String model : models) {
      problems.requireMatches("--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    }
    problems.requireNoTelemetry("bin/sampler");
  }

  @Override
  @SuppressWarnings("try") // Tracing ends with the block.
  public Integer call() throws IOException, InterruptedException {
    logging.apply();
    Provider chosen = runtime.chooseProvider();
    SamplerServer.Config config =
        new SamplerServer.Config(
            new ModelWatcherConfig(
                repository.repository(),
                models,
                poll,
                keepVersions,
                (long) modelMemory << 20,
                runtime.weightCopies(chosen),
                allowPin,
                allowUnverified,
                loadTimeout,
                runtime.settings(chosen).activationBytes()),
            port,
            httpPort,
            maxConnectionAge,
            access.tls(),
            runtime.settings(chosen),
            runtime.requestedProvider(),
            runtime.sessions(chosen),
            new BatchingPolicy(runtime.maxBatch(), maxDelay, maxQueueImages),
            batchTimeout,
            grpcLimits.limits(),
            corsOrigins,
            access.config(),
            imagesPerSecond,
            !noHttpImages);
    Shutdown shutdown = Shutdown.onSignal();
    try (Tracing tracing = Tracing.start("dcgan-sampler")) {
      serve(config, shutdown);
    }
    log.info("ended");
    return 0;
  }

  private void serve(SamplerServer.Config config, Shutdown shutdown)
      throws IOException, InterruptedException {
    SamplerServer sampler =
        SamplerServer.start(config, () -> Shutdown.exit(DeviceHealth.EXIT_CODE, MAX_EXIT_TIME));
    String scheme = access.tls() == null ? "http" : "https";
    log.info(
        "gRPC on port {}, metrics on {}://localhost:{}/metrics, gallery on"
            + " {}://localhost:{}/?seed=42",
        sampler.port(),
        scheme,
        sampler.httpPort(),
        scheme,
        sampler.httpPort());
    shutdown.await();
    log.info("draining");
    sampler.drain(drainDelay, drainGrace);
  }

  private static boolean isOrigin(String origin) {
    return origin.equals("*") || origin.matches("https?://[a-z0-9.-]+(:[0-9]+)?");
  }
}
