package dev.dcgan.sampler.cli;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcher;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.server.SamplerServer;
import dev.dcgan.server.Validator;
import dev.dcgan.server.ServerTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code sampler serve}. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    showDefaultValues = true,
    sortOptions = false,
    description = {
      "Serves the newest valid version of each model, and newer ones as they are published.",
      "Every option has an environment variable: --max-batch, DCGAN_MAX_BATCH."
    })
public final class ServeCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger(ServeCommand.class);
  private static final int LONGEST_QUEUE = 1_000_000;
  private static final int MOST_VERSIONS = 1000;
  private static final int MOST_MEMORY = 1 << 20;
  private static final Duration EXIT_LIMIT = Duration.ofSeconds(5);

  @Option(names = "--repository", description = "The folder with the models.")
  private Path repository = Path.of("models");

  @Option(
      names = "--model",
      split = ",",
      description =
          "A model to serve; given more than once, or with commas, several. Without it, all in the"
              + " repository are served; an empty one is waited for.")
  private List<String> models = List.of();

  @Option(
      names = "--keep-versions",
      description =
          "Versions of each model that stay in memory: the one in service and the newest others.")
  private int keepVersions = 1;

  @Option(
      names = "--model-memory",
      description =
          "MiB for versions that are loaded because a caller names them, by the size of their"
              + " model.onnx.")
  private int modelMemory = 1024;

  @Option(
      names = "--allow-pin",
      description = "Let callers choose the version in service, by SetServingVersion.")
  private boolean allowPin;

  @Option(names = "--allow-unverified", description = "Serve versions without a manifest.json too.")
  private boolean allowUnverified;

  @Option(names = "--port", description = "gRPC; 0 for any free one.")
  private int port = 50051;

  @Option(
      names = "--http-port",
      description = "HTTP: /metrics, /healthz, /readyz, /v1/images; 0 for any free one.")
  private int httpPort = 9402;

  @Mixin private ServerTlsOptions tls = new ServerTlsOptions();

  @Option(
      names = "--max-connection-age",
      showDefaultValue = Visibility.NEVER,
      description =
          "After which a gRPC client is asked to connect anew, and finds replicas that came since;"
              + " its calls go on. 0s: never. Default: 30m")
  private Duration maxConnectionAge = Duration.ofMinutes(30);

  @Mixin private RuntimeOptions runtime = new RuntimeOptions();

  @Option(
      names = "--max-delay",
      showDefaultValue = Visibility.NEVER,
      description = "How long an image may wait for others to join. Default: 2ms")
  private Duration maxDelay = Duration.ofMillis(2);

  @Option(names = "--max-queue-images", description = "Images that may wait; more are refused.")
  private int maxQueueImages = 32_768;

  @Option(
      names = "--batch-timeout",
      showDefaultValue = Visibility.NEVER,
      description =
          "A batch that takes longer than this, and than ten times what was measured, hangs: the"
              + " process exits with code 69. 0s: never. Default: 60s")
  private Duration batchTimeout = Duration.ofSeconds(60);

  @Option(
      names = "--poll",
      showDefaultValue = Visibility.NEVER,
      description = "How often to look for newer versions. Default: 2s")
  private Duration poll = Duration.ofSeconds(2);

  @Option(
      names = "--drain-delay",
      showDefaultValue = Visibility.NEVER,
      description = "At the end: how long to accept calls after reporting NOT_SERVING. Default: 5s")
  private Duration drainDelay = Duration.ofSeconds(5);

  @Option(
      names = "--drain-grace",
      showDefaultValue = Visibility.NEVER,
      description =
          "At the end: how long calls under way may take before they are cut off. Default: 20s")
  private Duration drainGrace = Duration.ofSeconds(20);

  @Override
  public void check(Validator problems) {
    problems.requirePort("--port", port);
    problems.requirePort("--http-port", httpPort);
    tls.check(problems);
    runtime.check(problems);
    problems.requireRange("--max-queue-images", maxQueueImages, 1, LONGEST_QUEUE);
    problems.requireRange("--max-delay (in us)", maxDelay.toNanos() / 1000, 0, 10_000_000);
    problems.requireRange("--batch-timeout (in ms)", batchTimeout.toMillis(), 0, 86_400_000);
    problems.requireRange("--poll (in ms)", poll.toMillis(), 10, 3_600_000);
    problems.requireRange("--max-connection-age (in s)", maxConnectionAge.toSeconds(), 0, 1 << 30);
    problems.requireRange("--drain-delay (in s)", drainDelay.toSeconds(), 0, 3600);
    problems.requireRange("--drain-grace (in s)", drainGrace.toSeconds(), 0, 3600);
    problems.requireRange("--keep-versions", keepVersions, 1, MOST_VERSIONS);
    problems.requireRange("--model-memory (in MiB)", modelMemory, 0, MOST_MEMORY);
    for (String model : models) {
      problems.requireMatches(
          "--model", model, ModelRepository::isName, ModelRepository.NAME_RULE);
    }
    problems.requireNoTelemetry("bin/sampler");
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Provider chosen = runtime.chooseProvider();
    int side = runtime.sessions(chosen);
    SamplerServer.Config config =
        new SamplerServer.Config(
            new ModelWatcher.Config(
                new ModelRepository(repository),
                models,
                poll,
                keepVersions,
                (long) modelMemory << 20,
                runtime.weightCopies(chosen),
                allowPin,
                allowUnverified),
            port,
            httpPort,
            maxConnectionAge,
            tls.tls(),
            runtime.settings(chosen),
            runtime.asked(),
            side,
            new BatchingPolicy(runtime.maxBatch(), maxDelay, maxQueueImages),
            batchTimeout);
    Shutdown shutdown = Shutdown.onSignal();
    SamplerServer sampler =
        SamplerServer.start(config, () -> Shutdown.exit(DeviceHealth.EXIT_CODE, EXIT_LIMIT));
    log.info(
        "gRPC on port {}, metrics on http://localhost:{}/metrics, pictures on"
            + " http://localhost:{}/v1/images?seed=42",
        sampler.port(),
        sampler.httpPort(),
        sampler.httpPort());
    shutdown.await();
    log.info("draining");
    sampler.drain(drainDelay, drainGrace);
    log.info("ended");
    return 0;
  }
}
