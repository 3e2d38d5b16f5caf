package dev.dcgan.trainer.cli;

import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.AccessOptions;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.server.LogOptions;
import dev.dcgan.server.ServerTlsOptions;
import dev.dcgan.server.Settings;
import dev.dcgan.server.Shutdown;
import dev.dcgan.server.Tracing;
import dev.dcgan.server.Validator;
import dev.dcgan.server.access.Credentials;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.metrics.DiskMetrics;
import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.run.ProgressEstimator;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.service.RunDashboard;
import dev.dcgan.trainer.session.ExpectedTime;
import dev.dcgan.trainer.session.InitialWeights;
import dev.dcgan.trainer.session.Outcome;
import dev.dcgan.trainer.session.TrainingInputs;
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
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Visibility;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code trainer train}: trains on images and publishes the model. */
@Command(
    name = "train",
    description = "Trains on images, then exports, checks and publishes the generator.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    showDefaultValues = true)
public final class TrainCommand implements Settings.Command {

  private static final Logger log = LoggerFactory.getLogger(TrainCommand.class);

  // The options of a run's config that a resume may change.
  private static final List<String> RESUMABLE = List.of("data", "device", "epochs");

  @Mixin private ConfigOptions options = new ConfigOptions();

  @Option(
      names = "--runs",
      paramLabel = "DIR",
      description = "Folder of the runs, with their samples, checkpoints and events.",
      defaultValue = "runs")
  private Path runs = Path.of("runs");

  @Option(
      names = "--resume",
      paramLabel = "RUN",
      description =
          "Continue the run of this id with its own settings: an interrupted one, or with a larger"
              + " --epochs one that SUCCEEDED. --device cpu or cuda moves it to another device;"
              + " --data names the new folder of the same images.")
  private @Nullable String resume;

  @Option(
      names = "--run",
      paramLabel = "NAME",
      description =
          "The run's id. An interrupted run of this id is continued if the options are its own; a"
              + " successful one is done. Exit code 75: interrupted, by a signal or a failure of the"
              + " GPU or its memory; 1: prevented by something else. In both cases start the same"
              + " command again. Exit code 65: the run has failed or was stopped for good.")
  private @Nullable String name;

  @Mixin private PublishOptions publish = new PublishOptions();

  @Mixin private LogOptions logging = new LogOptions();

  @Option(
      names = "--http-port",
      paramLabel = "PORT",
      description =
          "HTTP port of the dashboard of the run, /metrics, /healthz and /readyz; 0: any free port.",
      defaultValue = "9401")
  private int httpPort;

  @Option(
      names = "--http-address",
      paramLabel = "ADDRESS",
      showDefaultValue = Visibility.NEVER,
      description =
          "Address that HTTP listens on; 0.0.0.0: all of the machine's. Other than loopback"
              + " requires TLS or --insecure. Default: localhost")
  private @Nullable InetAddress httpAddress;

  @Option(
      names = "--insecure",
      description = "Serve plain text on an address that other machines reach.")
  private boolean insecure;

  @Mixin private ServerTlsOptions tls = new ServerTlsOptions();

  @Option(
      names = "--tokens",
      paramLabel = "FILE",
      description =
          "Callers with their roles, one a line: NAME ROLES sha256:HASH or subject:SUBJECT. Without"
              + " it everyone may read the run. The file is reloaded when it changes.")
  private @Nullable Path tokens;

  @Override
  public void check(Validator problems) {
    options.check(problems);
    problems.require(
        resume == null || RunStore.isId(resume), "--resume '%s': not a run id".formatted(resume));
    problems.require(
        name == null || RunStore.isId(name),
        "--run '%s': expected lower-case letters, digits, '.', '-' and '_', at most 101"
            .formatted(name));
    problems.require(
        name == null || resume == null,
        "--resume %s beside --run %s: expected one of them".formatted(resume, name));
    if (resume != null) {
      List<String> ignored = new ArrayList<>(options.given(RESUMABLE));
      if (!publish.model().isEmpty()) {
        ignored.add("--model");
      }
      problems.require(
          ignored.isEmpty(),
          "%s beside --resume: a run continues with its own settings; leave them out, or start a"
                  .formatted(String.join(", ", ignored))
              + " new run with --init-from");
    }
    publish.check(problems);
    logging.check(problems);
    problems.requirePort("--http-port", httpPort);
    tls.check(problems);
    if (tokens != null) {
      Path file = tokens;
      problems.requireReadable("--tokens", () -> Credentials.read(file));
    }
    problems.require(
        insecure || listening().isLoopbackAddress() || tls.tls() != null,
        "--http-address %s: other machines reach it, and nothing is encrypted; give --tls-cert and --tls-key, or --insecure"
            .formatted(listening().getHostAddress()));
  }

  private InetAddress listening() {
    return httpAddress == null ? InetAddress.getLoopbackAddress() : httpAddress;
  }

  @Override
  @SuppressWarnings("try") // Tracing ends with the block.
  public Integer call() throws IOException {
    logging.apply();
    try (Tracing tracing = Tracing.start("dcgan-trainer")) {
      return train();
    }
  }

  private int train() throws IOException {
    AccessOptions.logExposure("HTTP", listening(), tls.tls() != null, tokens != null);
    PrometheusRegistry registry = new PrometheusRegistry();
    DiskMetrics.register(registry, Map.of("runs", runs, "repository", publish.repository().root()));
    TemporaryFolder.require(RunStore.cache(runs));
    StopSignal stop = new StopSignal();
    Shutdown.onSignal(stop::interrupt);
    RunStore store = new RunStore(runs, InstantSource.system());
    Optional<RunDirectory> found = find(store);
    TrainerMetrics metrics = new TrainerMetrics(registry, InstantSource.system());
    TrainingSession session =
        new TrainingSession(
            publish.repository(),
            Path.of(""),
            RunStore.cache(runs),
            metrics,
            Boolean.getBoolean("dcgan.terminal"));
    RunRecords records = new RunRecords(InstantSource.system());
    try (RunDashboard dashboard =
            RunDashboard.start(
                AccessConfig.at(listening(), httpPort),
                new AccessConfig(listening(), null, tokens, false, 0),
                tls.tls(),
                registry,
                records);
        RunRecords.Hold resumed = found.isPresent() ? lock(records, found.get()) : null) {
      if (resumed != null && isDone(resumed.record().run())) {
        return 0;
      }
      TrainingConfig config =
          complete(
              resumed != null
                  ? changed(resumed.record().run())
                  : TrainingInputs.withPreset(
                      options.config(publish.model()), Path.of(""), RunStore.cache(runs)));
      Optional<Path> initial = resumed == null ? initialWeights(store, config) : Optional.empty();
      String trainedOn = resumed != null ? resumed.record().run().getDevice() : "";
      try (TrainingInputs inputs = session.prepare(config, trainedOn, stop)) {
        InitialWeights.requireClasses(initial.orElse(null), config, inputs.images().training());
        metrics.device(inputs.device().toString(), config.config().getDevice());
        dashboard.setReady();
        log.info(
            "metrics on port {}, dashboard on {}://localhost:{}/",
            dashboard.port(),
            tls.tls() == null ? "http" : "https",
            dashboard.port());
        if (resumed == null && options.choosesPreset()) {
          log.info(
              "expected time of training on {}: {}",
              inputs.device(),
              ProgressEstimator.text(ExpectedTime.seconds(inputs, config)));
        }
        if (resumed != null) {
          dashboard.show(resumed.record());
          return exitCode(session.train(resumed.record(), config, inputs, stop), resumed.record());
        }
        try (RunRecords.Hold created = lock(records, create(store, config, initial))) {
          dashboard.show(created.record());
          return exitCode(session.train(created.record(), config, inputs, stop), created.record());
        }
      }
    } catch (InterruptedIOException e) {
      log.info("interrupted before the first step");
      return interrupted();
    } catch (FinalFailureException e) {
      throw failure(String.valueOf(e.getMessage()));
    } catch (NativeFailureException e) {
      if (name == null) {
        throw e;
      }
      return tryAgain(ErrorMessages.oneLine(e));
    }
  }

  /**
   * The run's config with what the command line changes: the device, because a GPU may be gone for
   * good; the folder of the same images; with {@code --resume}, the epochs.
   */
  private RunConfig changed(Run run) throws IOException {
    RunConfig given = options.config("");
    RunConfig.Builder config = run.getConfig().toBuilder();
    if (!given.getDevice().isEmpty() && !TrainingDevice.isAuto(given.getDevice())) {
      config.setDevice(given.getDevice());
    }
    if (!given.getData().isEmpty()) {
      if (config.getData().isEmpty()) {
        throw new IOException(
            "cannot resume run %s: --data %s: it is trained on --dataset %s; leave --data out"
                .formatted(run.getId(), given.getData(), config.getDataset()));
      }
      config.setData(given.getData());
    } else if (!config.getData().isEmpty() && !Files.exists(Path.of(config.getData()))) {
      throw new IOException(
          "cannot resume run %s: its images are gone from %s; name their new folder with --data"
              .formatted(run.getId(), config.getData()));
    }
    if (resume != null && given.hasEpochs()) {
      int done = Math.max(run.getEpochsCompleted(), run.getProgress().getEpoch());
      if (given.getEpochs() <= done) {
        throw new IOException(
            "cannot resume run %s to --epochs %d: it has completed %d epochs; expected more than %d"
                .formatted(run.getId(), given.getEpochs(), done, done));
      }
      config.setEpochs(given.getEpochs());
    }
    return config.build();
  }

  /** The checkpoint that {@code --init-from} names. */
  private Optional<Path> initialWeights(RunStore store, TrainingConfig config) throws IOException {
    String given = config.config().getInitFrom();
    return given.isEmpty()
        ? Optional.empty()
        : Optional.of(InitialWeights.find(given, store, publish.repository(), config));
  }

  /** The run to continue; empty: a new one. */
  private Optional<RunDirectory> find(RunStore store) throws IOException {
    if (resume == null) {
      return name == null ? Optional.empty() : store.find(name);
    }
    Optional<RunDirectory> found = store.find(resume);
    if (found.isEmpty()) {
      throw new IOException(
          "cannot resume run %s: there is no such run in %s".formatted(resume, runs));
    }
    return found;
  }

  private RunDirectory create(RunStore store, TrainingConfig config, Optional<Path> initial)
      throws IOException {
    Run draft =
        Run.newBuilder()
            .setConfig(config.config())
            .setInitializedFrom(initial.map(InitialWeights::name).orElse(""))
            .build();
    @Nullable Path begin = initial.orElse(null);
    return name == null ? store.create(draft, begin) : store.create(name, draft, begin);
  }

  private static RunRecords.Hold lock(RunRecords records, RunDirectory folder) throws IOException {
    return records
        .lock(folder)
        .orElseThrow(
            () -> new IOException("run %s is locked by another process".formatted(folder.id())));
  }

  /**
   * Whether an existing run has succeeded already.
   *
   * @throws IOException it cannot be continued, or not with these options
   */
  private boolean isDone(Run run) throws IOException {
    if (name != null) {
      // Both are completed: the config of an older program's run may lack a field.
      RunConfig was = complete(run.getConfig()).config();
      // Another device is no difference, nor another folder: the run moves. Other images are
      // refused by their digest.
      RunConfig requested = TrainingConfig.followRecord(options.config(publish.model()), was);
      RunConfig.Builder is = complete(requested).config().toBuilder().setDevice(was.getDevice());
      if (!was.getData().isEmpty() && !is.getData().isEmpty()) {
        is.setData(was.getData());
      }
      List<String> differences = ConfigOptions.differences(was, is.build());
      if (!differences.isEmpty()) {
        throw new IOException(
            "cannot continue run %s: it was created with other settings: %s; restore them, or choose another --run"
                .formatted(name, String.join(", ", differences)));
      }
      if (run.getState() == RunState.RUN_STATE_SUCCEEDED) {
        log.info("run {} has SUCCEEDED already{}", name, published(run));
        return true;
      }
    }
    if (run.getState() == RunState.RUN_STATE_SUCCEEDED) {
      if (options.config("").hasEpochs()) {
        return false;
      }
      throw new IOException(
          "run %s has SUCCEEDED after %d epochs; give a larger --epochs to train it further"
              .formatted(run.getId(), run.getEpochsCompleted()));
    }
    if (RunRecord.isEnd(run.getState())) {
      String reason = run.getReason().isEmpty() ? "" : " (" + run.getReason() + ")";
      throw failure(
          "run %s has %s%s; only an interrupted run can be continued; start a new one with --init-from %1$s"
              .formatted(run.getId(), RunRecord.name(run.getState()), reason));
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

  private static TrainingConfig complete(RunConfig config) throws IOException {
    try {
      return TrainingConfig.of(config);
    } catch (InvalidConfigException e) {
      // The command line was checked, so this is the config of an older program's run.
      throw new IOException("the run's config is invalid: " + e.getMessage(), e);
    }
  }

  /** The exit code of an outcome; a failure is thrown, with its message. */
  private int exitCode(Outcome outcome, RunRecord record) throws IOException {
    return switch (outcome.kind()) {
      case SUCCEEDED -> 0;
      case INTERRUPTED -> interrupted();
      case STOPPED, FAILED -> throw failure(outcome.reason());
      case RETRY -> {
        String id = record.folder().id();
        if (!outcome.deviceFailed()) {
          throw new IOException(outcome.reason() + remedy(record));
        }
        String message = "run %s was %s".formatted(id, outcome.reason());
        if (name == null) {
          throw new IOException(
              "%s; continue it with `trainer train --resume %s`".formatted(message, id));
        }
        yield tryAgain(message);
      }
    };
  }

  private String remedy(RunRecord record) {
    if (name != null) {
      return "; when that is solved, start the same command again";
    }
    return record.hasEnded() && !record.isUnwritten()
        ? "" // It has SUCCEEDED, and was not trained further.
        : "; when that is solved, continue with `trainer train --resume %s`"
            .formatted(record.folder().id());
  }

  private static int tryAgain(String reason) {
    log.error("{}; start the same command again", reason);
    return Shutdown.TRY_AGAIN;
  }

  /** The failure of a run that has ended: a command that names the run would find it again. */
  private IOException failure(String message) {
    return name == null ? new IOException(message) : new FinalFailureException(message);
  }

  /** A command that names the run is to be started again; otherwise nothing is left to do. */
  private int interrupted() {
    return name == null ? 0 : Shutdown.TRY_AGAIN;
  }
}
