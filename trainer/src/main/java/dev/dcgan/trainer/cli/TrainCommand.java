package dev.dcgan.trainer.cli;

import dev.dcgan.trainer.config.InvalidConfigException;

import dev.dcgan.server.FinalFailureException;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.Validator;
import dev.dcgan.server.Readiness;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.session.DiskMetrics;
import dev.dcgan.trainer.session.StopSignal;
import dev.dcgan.trainer.session.TrainerMetrics;
import dev.dcgan.trainer.session.TrainingSession;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
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
public final class TrainCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger("train");

  @Mixin private ConfigOptions options = new ConfigOptions();

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
          "Carry on with a run that was interrupted, by its id; its own config counts, not the options here, but"
              + " for a --device other than auto, which moves it.")
  private @Nullable String resume;

  @Option(
      names = "--run",
      paramLabel = "NAME",
      description =
          "The run's id. A run of that id that was interrupted goes on, where the options here are its own; one that"
              + " succeeded is done. Interrupted, by a signal or by a failure of the GPU or its memory, the exit code"
              + " is 75, and where something else is in the way 1: start the same command again. It is 65 where the"
              + " run has failed or was stopped for good.")
  private @Nullable String name;

  @Mixin private PublishOptions publish = new PublishOptions();

  @Option(
      names = "--http-port",
      paramLabel = "PORT",
      description = "Of /metrics, /healthz, /readyz; 0 for any free one.",
      defaultValue = "9401")
  private int httpPort;

  @Override
  public void check(Validator problems) {
    options.check(problems);
    problems.require(
        resume == null || RunStore.isId(resume), "--resume '%s': no run's id".formatted(resume));
    problems.require(
        name == null || RunStore.isId(name),
        "--run '%s': expected lower-case letters, digits, '.', '-' and '_', at most 101"
            .formatted(name));
    problems.require(
        name == null || resume == null,
        "--resume %s beside --run %s: expected one of them".formatted(resume, name));
    publish.check(problems);
    problems.requirePort("--http-port", httpPort);
  }

  @Override
  public Integer call() throws IOException {
    PrometheusRegistry registry = new PrometheusRegistry();
    DiskMetrics.register(registry, Map.of("runs", runs, "repository", publish.repository().root()));
    StopSignal control = new StopSignal();
    Shutdown.onSignal(control::interrupt);
    RunStore store = new RunStore(runs, InstantSource.system());
    Optional<RunDirectory> found = find(store);
    TrainerMetrics metrics = new TrainerMetrics(registry, InstantSource.system());
    TrainingSession training =
        new TrainingSession(
            publish.repository(),
            Path.of(""),
            RunStore.cache(runs),
            metrics,
            Boolean.getBoolean("dcgan.terminal"),
            name != null);
    try (HttpEndpoint endpoint = HttpEndpoint.start(httpPort, registry);
        RunRecords.Hold begun = found.isPresent() ? lock(found.get()) : null) {
      if (begun != null && isDone(begun.record().run())) {
        return 0;
      }
      TrainingConfig plan =
          plan(begun != null ? moved(begun.record().run()) : options.config(publish.model()));
      String trainedOn = begun != null ? begun.record().run().getDevice() : "";
      try (TrainingSession.Means means = training.prepare(plan, trainedOn, control)) {
        metrics.device(means.device().toString(), plan.config().getDevice());
        endpoint.setReadiness(Readiness.READY);
        log.info("metrics on port {}", endpoint.port());
        if (begun != null) {
          noteMove(begun.record(), plan);
          return train(training, begun.record(), plan, means, control);
        }
        try (RunRecords.Hold created = lock(create(store, plan))) {
          return train(training, created.record(), plan, means, control);
        }
      }
    } catch (InterruptedIOException e) {
      log.info("interrupted before the first step");
      return interrupted();
    } catch (NativeFailureException e) {
      if (name == null) {
        throw e;
      }
      log.error("{}; start the same command again", ErrorMessages.oneLine(e));
      return Shutdown.TRY_AGAIN;
    }
  }

  /**
   * The run's config, with the device that the command line names, if it names one: a run that was
   * trained on a GPU which does not come back can be moved.
   */
  private RunConfig moved(Run run) {
    String device = options.config("").getDevice();
    return device.isEmpty() || TrainingDevice.isAuto(device)
        ? run.getConfig()
        : run.getConfig().toBuilder().setDevice(device).build();
  }

  private static void noteMove(RunRecord record, TrainingConfig plan) throws IOException {
    String was = record.run().getConfig().getDevice();
    String device = plan.config().getDevice();
    if (!was.equals(device)) {
      log.warn("run {} moves from --device {} to {}", record.folder().id(), was, device);
      record.update(run -> run.getConfigBuilder().setDevice(device));
    }
  }

  /** The run to go on with; empty: a new one. */
  private Optional<RunDirectory> find(RunStore store) throws IOException {
    if (resume == null) {
      return name == null ? Optional.empty() : store.find(name);
    }
    Optional<RunDirectory> found = store.find(resume);
    if (found.isEmpty()) {
      throw new IOException("--resume %s: no such run in %s".formatted(resume, runs));
    }
    return found;
  }

  private RunDirectory create(RunStore store, TrainingConfig plan) throws IOException {
    Run draft = Run.newBuilder().setConfig(plan.config()).build();
    return name == null ? store.create(draft) : store.create(name, draft);
  }

  private static RunRecords.Hold lock(RunDirectory folder) throws IOException {
    return new RunRecords(InstantSource.system())
        .lock(folder)
        .orElseThrow(
            () ->
                new IOException(
                    "run %s is in another process's hands; it goes on there"
                        .formatted(folder.id())));
  }

  /**
   * Whether nothing is left to do for a run that was found.
   *
   * @throws IOException it cannot go on, or not as this command line says
   */
  private boolean isDone(Run run) throws IOException {
    if (name != null) {
      // Both complete: an older program's run may lack what was not yet a setting.
      RunConfig was = plan(run.getConfig()).config();
      // Another device is allowed: it moves the run.
      RunConfig is =
          plan(options.config(publish.model())).config().toBuilder()
              .setDevice(was.getDevice())
              .build();
      List<String> differences = ConfigOptions.differences(was, is);
      if (!differences.isEmpty()) {
        throw new IOException(
            "--run %s: that run was created with other settings: %s; set them as they were, or choose another name"
                .formatted(name, String.join(", ", differences)));
      }
      if (run.getState() == RunState.RUN_STATE_SUCCEEDED) {
        log.info("run {} has SUCCEEDED already{}", name, published(run));
        return true;
      }
    }
    if (RunRecord.isEnd(run.getState())) {
      throw failure(
          "run %s has %s (%s); only what was interrupted goes on"
              .formatted(run.getId(), RunRecord.name(run.getState()), run.getReason()));
    }
    return false;
  }

  private static String published(Run run) {
    int count = run.getPublishedCount();
    if (count == 0) {
      return "";
    }
    ModelVersion last = run.getPublished(count - 1);
    return ", and has published %s/%d".formatted(last.getName(), last.getVersion());
  }

  private static TrainingConfig plan(RunConfig config) throws IOException {
    try {
      return TrainingConfig.of(config);
    } catch (InvalidConfigException e) {
      // The command line's was checked: this is an older program's run.
      throw new IOException("the run's config is not valid: " + e.getMessage(), e);
    }
  }

  private int train(
      TrainingSession training, RunRecord record, TrainingConfig plan, TrainingSession.Means means, StopSignal control)
      throws IOException {
    try {
      training.train(record, plan, means, control);
    } catch (NativeFailureException e) {
      if (!record.hasEnded()) {
        throw new NativeFailureException(e.kind(), advice(record));
      }
    }
    Run run = record.run();
    if (record.hasEnded() && record.isUnwritten()) {
      // On the disk it is still RUNNING: the same command is to be started again.
      throw new IOException(
          "run %s has %s, but that could not be written in %s: see above why, make room, and start the same command again"
              .formatted(run.getId(), RunRecord.name(run.getState()), record.folder()));
    }
    return switch (run.getState()) {
      case RUN_STATE_SUCCEEDED -> 0;
      case RUN_STATE_STOPPED, RUN_STATE_FAILED -> throw failure(run.getReason());
      default -> interrupted();
    };
  }

  /** What happened to a run, and how to continue it. */
  private String advice(RunRecord record) {
    String id = record.folder().id();
    String happened = "run %s was %s".formatted(id, record.run().getReason());
    return name == null
        ? "%s; continue it with `trainer train --resume %s`".formatted(happened, id)
        : happened;
  }

  /** Of a run that is at its end: by its name the same command would come to it again. */
  private IOException failure(String message) {
    return name == null ? new IOException(message) : new FinalFailureException(message);
  }

  /** Who named the run starts the same command again, and must be told to; others are at rest. */
  private int interrupted() {
    return name == null ? 0 : Shutdown.TRY_AGAIN;
  }
}
