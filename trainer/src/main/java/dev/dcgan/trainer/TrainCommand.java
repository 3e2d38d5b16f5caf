package dev.dcgan.trainer;

import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.Problems;
import dev.dcgan.server.Readiness;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer train}: pictures in, a published model out. */
@Command(
    name = "train",
    description = "Trains on pictures, then exports, checks and publishes the generator.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
final class TrainCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger("train");

  @Mixin private RunOptions options = new RunOptions();

  @Option(
      names = "--runs",
      paramLabel = "DIR",
      description = "Where the run's folder goes: samples, checkpoints, events.",
      defaultValue = "runs")
  private Path runs = Path.of("runs");

  @Option(
      names = "--resume",
      paramLabel = "RUN",
      description =
          "Carry on with a run that was interrupted, by its id; its own config counts, not the options here.")
  private @Nullable String resume;

  @Mixin private PublishOptions publish = new PublishOptions();

  @Option(
      names = "--http-port",
      paramLabel = "PORT",
      description = "Of /metrics, /healthz, /readyz; 0 for any free one.",
      defaultValue = "9401")
  private int httpPort;

  @Override
  public void check(Problems problems) {
    options.check(problems);
    problems.require(
        resume == null || RunStore.isId(resume), "--resume '%s': no run's id".formatted(resume));
    publish.check(problems);
    problems.requirePort("--http-port", httpPort);
  }

  @Override
  public Integer call() throws IOException {
    PrometheusRegistry registry = new PrometheusRegistry();
    TrainerMetrics metrics = new TrainerMetrics(registry);
    DiskMetrics.register(registry, Map.of("runs", runs, "repository", publish.repository().root()));
    RunControl control = new RunControl();
    Shutdown.onSignal(control::interrupt);
    RunStore store = new RunStore(runs, InstantSource.system());
    Optional<RunFolder> interrupted = resume == null ? Optional.empty() : Optional.of(find(store));
    RunPlan plan =
        plan(
            interrupted.isPresent()
                ? interrupted.get().read().getConfig()
                : options.config(publish.model()));
    Training training =
        new Training(
            publish.repository(),
            Path.of(""),
            RunStore.cache(runs),
            metrics,
            Boolean.getBoolean("dcgan.terminal"));
    try (HttpEndpoint endpoint = HttpEndpoint.start(httpPort, registry);
        Training.Means means = training.prepare(plan)) {
      endpoint.setReadiness(Readiness.READY);
      log.info("metrics on port {}", endpoint.port());
      RunFolder folder =
          interrupted.isPresent()
              ? interrupted.get()
              : store.create(Run.newBuilder().setConfig(plan.config()).build());
      try (OpenRecords.Hold hold = lock(folder)) {
        training.train(hold.record(), plan, means, control);
        return exitCode(hold.record().run());
      }
    }
  }

  private static OpenRecords.Hold lock(RunFolder folder) throws IOException {
    return new OpenRecords(InstantSource.system())
        .lock(folder)
        .orElseThrow(
            () ->
                new IOException(
                    "run %s is in another process's hands; it goes on there"
                        .formatted(folder.id())));
  }

  private RunFolder find(RunStore store) throws IOException {
    String id = Objects.requireNonNull(resume, "asked by --resume alone");
    RunFolder folder =
        store
            .find(id)
            .orElseThrow(
                () -> new IOException("--resume %s: no such run in %s".formatted(id, runs)));
    Run run = folder.read();
    if (RunRecord.isEnd(run.getState())) {
      throw new IOException(
          "--resume %s: it %s (%s); only what was interrupted goes on"
              .formatted(id, RunRecord.name(run.getState()), run.getReason()));
    }
    return folder;
  }

  private static RunPlan plan(RunConfig config) throws IOException {
    try {
      return RunPlan.of(config);
    } catch (RunPlan.InvalidConfigException e) {
      // The command line's was checked: this is an older program's run.
      throw new IOException("the run's config is not valid: " + e.getMessage(), e);
    }
  }

  private static int exitCode(Run run) throws IOException {
    if (run.getState() == RunState.RUN_STATE_FAILED) {
      throw new IOException(run.getReason());
    }
    return run.getState() == RunState.RUN_STATE_STOPPED ? 1 : 0;
  }
}
