package dev.dcgan.trainer.session;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.config.PublishPolicy;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.eval.Evaluator;
import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.session.listener.SessionContext;
import dev.dcgan.trainer.session.listener.SessionListeners;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.CudaEnvironment;
import dev.dcgan.trainer.train.NonFiniteException;
import dev.dcgan.trainer.train.TrainingLoop;
import dev.dcgan.v1.DeviceFailure;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains a run from its start, or from its newest checkpoint, to an {@link Outcome}: for {@code
 * trainer train} and the service alike. One session at a time in a process, on the caller's thread.
 */
public final class TrainingSession {

  private static final Logger log = LoggerFactory.getLogger(TrainingSession.class);
  private static final String FAULT = "a fault of this program; its log has the cause";

  private final ModelRepository repository;
  private final Path dataRoot;
  private final Path cache;
  private final TrainerMetrics metrics;
  private final boolean terminal;
  private final DeviceSelector devices;

  /** Selects a run's device: {@link TrainingDevice#select(String, String)}, except in tests. */
  interface DeviceSelector {
    TrainingDevice select(String choice, String trainedOn) throws IOException;
  }

  /** What a session does; every way in which it can fail becomes an outcome. */
  private interface Work {
    Outcome run() throws IOException;
  }

  /**
   * What all runs share.
   *
   * @param dataRoot the folder of relative paths of data
   * @param cache the folder of what can be recreated: classifiers
   * @param terminal whether to show a progress bar instead of log lines
   */
  public TrainingSession(
      ModelRepository repository,
      Path dataRoot,
      Path cache,
      TrainerMetrics metrics,
      boolean terminal) {
    this(repository, dataRoot, cache, metrics, terminal, TrainingDevice::select);
  }

  TrainingSession(
      ModelRepository repository,
      Path dataRoot,
      Path cache,
      TrainerMetrics metrics,
      boolean terminal,
      DeviceSelector devices) {
    this.repository = repository;
    this.dataRoot = dataRoot;
    this.cache = cache;
    this.metrics = metrics;
    this.terminal = terminal;
    this.devices = devices;
  }

  /**
   * Selects the device and opens the images of a run, and checks that both fit its config.
   *
   * @param trainedOn the device that the run was trained on so far; empty: none yet
   * @throws InterruptedIOException the signal came before the images were read
   * @throws NativeFailureException the device does not work now
   * @throws IOException there is no such device or it has too little memory; the images cannot be
   *     read or do not fit the config
   */
  public TrainingInputs prepare(TrainingConfig config, String trainedOn, StopSignal stop)
      throws IOException {
    TrainingDevice device = devices.select(config.config().getDevice(), trainedOn);
    config.resources().requireMemory(device);
    config.resources().warning(device, config.imageBytes()).ifPresent(log::warn);
    if (device.isGpu()) {
      CudaEnvironment.check(config.hyperparameters(), System.getenv()).ifPresent(log::warn);
    }
    DatasetSplit images =
        stop.interruptibly(
            () ->
                TrainingInputs.openImages(
                    config.config(),
                    config.architecture().shape(),
                    dataRoot,
                    cache,
                    metrics::progressed));
    TrainingInputs inputs = new TrainingInputs(device, images);
    try {
      checkFit(config, inputs, stop);
      return inputs;
    } catch (IOException | RuntimeException e) {
      inputs.close();
      throw e;
    }
  }

  private void checkFit(TrainingConfig config, TrainingInputs inputs, StopSignal stop)
      throws IOException {
    ImageDataset training = inputs.images().training();
    TrainingLoop.requireFit(config.architecture(), config.hyperparameters().batchSize(), training);
    if (config.isConditional()) {
      ImageClasses classes = ImageLabels.of(training).classes();
      config.withClasses(classes.size()).resources().requireMemory(inputs.device());
    }
    try (Evaluator evaluator = evaluator(config, inputs)) {
      var unused =
          stop.interruptibly(
              () -> {
                evaluator.checkFeatures();
                return "";
              });
      if (config.publish().kind() == PublishPolicy.Kind.BEST && !evaluator.isPossible()) {
        throw new FinalFailureException(
            "--publish best: cannot evaluate: %s has no labels; give --features <model.onnx>"
                .formatted(training.name()));
      }
    }
  }

  /** Prepares a run that the caller has locked, and trains it. */
  public Outcome train(RunRecord record, TrainingConfig config, StopSignal stop) {
    return conclude(
        record,
        stop,
        () -> {
          try (TrainingInputs inputs = prepare(config, record.run().getDevice(), stop)) {
            return run(record, config, inputs, stop);
          }
        });
  }

  /**
   * Trains a run that the caller has locked, and writes the outcome into its record. An interrupted
   * run and one to be retried stay as they are on disk.
   */
  public Outcome train(
      RunRecord record, TrainingConfig config, TrainingInputs inputs, StopSignal stop) {
    return conclude(record, stop, () -> run(record, config, inputs, stop));
  }

  private Outcome conclude(RunRecord record, StopSignal stop, Work work) {
    // First, because reading the images may take long, or hang.
    metrics.begin(record.run());
    try {
      return write(record, outcome(record, stop, work));
    } finally {
      metrics.end(record.run());
    }
  }

  /** Turns every way to end into an outcome. */
  private Outcome outcome(RunRecord record, StopSignal stop, Work work) {
    try {
      return work.run();
    } catch (InterruptedIOException e) {
      log.info("interrupted before run {} was continued", record.folder().id());
      return stop.requested() == StopSignal.Request.STOP
          ? stopped(record, stop)
          : Outcome.interrupted("");
    } catch (NativeFailureException e) {
      log.debug("run {} is interrupted", record.folder().id(), e);
      return stop.requested() == StopSignal.Request.STOP
          ? stopped(record, stop).afterDeviceFailure()
          : suspend(record, e);
    } catch (IOException e) {
      return prevented(record, e);
    } catch (UncheckedIOException e) {
      return prevented(record, Objects.requireNonNull(e.getCause()));
    } catch (RuntimeException e) {
      log.error("run {} failed by a fault of this program", record.folder().id(), e);
      return Outcome.failed(FAULT);
    }
  }

  private static Outcome prevented(RunRecord record, IOException e) {
    log.debug("run {} is prevented", record.folder().id(), e);
    String reason = ErrorMessages.oneLine(e);
    return e instanceof FinalFailureException ? Outcome.failed(reason) : Outcome.retry(reason);
  }

  private static Outcome stopped(RunRecord record, StopSignal stop) {
    return Outcome.stopped(stop.reason() + " at step " + record.run().getProgress().getStep());
  }

  /** Writes the outcome into the record; an end that cannot be written is to be retried. */
  private static Outcome write(RunRecord record, Outcome outcome) {
    String id = record.folder().id();
    Optional<RunState> state = outcome.state();
    if (state.isEmpty()) {
      if (!outcome.deviceFailed() && !outcome.reason().isEmpty() && !record.hasEnded()) {
        note(record, outcome.reason());
      }
      return outcome;
    }
    if (record.hasEnded()) {
      log.error("run {} has ended already: {}", id, outcome.reason());
      return outcome;
    }
    try {
      record.state(state.get(), outcome.reason());
    } catch (IOException e) {
      log.error("cannot write the end of run {}: {}", id, ErrorMessages.oneLine(e));
      if (record.isUnwritten()) {
        // On disk the run is still RUNNING.
        return Outcome.retry(
            "run %s has %s, but that could not be written in %s"
                .formatted(id, RunRecord.name(state.get()), record.folder()));
      }
    }
    return outcome;
  }

  private Outcome run(
      RunRecord record, TrainingConfig config, TrainingInputs inputs, StopSignal stop)
      throws IOException {
    try {
      String device = inputs.device().toString();
      if (!record.run().getDevice().equals(device)) {
        record.update(run -> run.setDevice(device));
      }
      if (record.run().getState() == RunState.RUN_STATE_QUEUED) {
        record.state(RunState.RUN_STATE_RUNNING, "");
      } else if (!record.hasEnded()) {
        note(record, ""); // It is no longer interrupted.
      }
      if (loop(record, config, inputs, stop)) {
        return Outcome.succeeded();
      }
    } catch (IOException | RuntimeException e) {
      throwNativeFailure(inputs.device(), e);
      throw e;
    }
    if (stop.requested() == StopSignal.Request.STOP) {
      Outcome outcome = stopped(record, stop);
      log.info(outcome.reason());
      return outcome;
    }
    Outcome outcome =
        Outcome.interrupted("interrupted at step " + record.run().getProgress().getStep());
    log.info(
        "{}; {}",
        outcome.reason(),
        record.run().getByService()
            ? "the service continues the run when it is started again"
            : "continue the run with `trainer train --resume " + record.folder().id() + "`");
    return outcome;
  }

  /**
   * Throws the failure of the device or its memory, if that is what an exception means. On the CPU
   * a native failure other than of memory is a fault of this program: it would be repeated.
   */
  private static void throwNativeFailure(TrainingDevice device, Exception thrown)
      throws NativeFailureException {
    Optional<NativeFailureException> failure = NativeFailureException.find(thrown);
    if (failure.isPresent()
        && (device.isGpu() || failure.get().kind() != NativeFailureException.Kind.OTHER)) {
      throw failure.get();
    }
  }

  /** Trains; returns whether the run was trained to its end, or else the signal ended it. */
  private boolean loop(
      RunRecord record, TrainingConfig given, TrainingInputs inputs, StopSignal stop)
      throws IOException {
    ImageDataset training = inputs.images().training();
    TrainingConfig config =
        given.isConditional()
            ? given.withClasses(ImageLabels.of(training).classes().size())
            : given;
    log.info(
        "{} images of {} from {}; {} on {}; run in {}",
        training.size(),
        training.shape(),
        training.name(),
        config.architecture().title(),
        inputs.device(),
        record.folder());
    log.info("beyond the paper's recipe: {}", config.hyperparameters().extensions());
    log.info("estimated resources: {}", config.resources());
    config.warnings(training.size()).forEach(log::warn);
    CheckpointStore checkpoints =
        new CheckpointStore(
            record.folder().checkpoints(),
            config.config().getKeepCheckpoints(),
            record.run().getBestCheckpoint());
    checkpoints.sweep();
    Optional<CheckpointStore.Kept> from = checkpoints.newest();
    @Nullable Checkpoint initial = null;
    if (from.isPresent()) {
      TrainingLoop.requireMatching(
          config.architecture(), config.hyperparameters(), training, from.get().checkpoint());
    } else {
      requireNotExtended(record);
      config.requireDisk(record.folder().checkpoints(), training.size());
      initial = InitialWeights.of(record, config, training);
    }
    recordChanges(record, config);
    logImagesLeftOut(config, training);
    try (Evaluator evaluator = evaluator(config, inputs);
        SessionListeners listeners =
            new SessionListeners(
                new SessionContext(
                    record,
                    config,
                    stop,
                    training,
                    checkpoints,
                    new CheckpointPublisher(repository, metrics::published),
                    evaluator,
                    metrics,
                    from.map(kept -> kept.checkpoint().step()).orElse(0L),
                    terminal))) {
      from.ifPresent(listeners::onResume);
      new TrainingLoop(config.architecture(), config.hyperparameters(), training, listeners)
          .run(inputs.device(), from.map(CheckpointStore.Kept::checkpoint).orElse(null), initial);
      return listeners.finish();
    } catch (NonFiniteException e) {
      metrics.warned("non_finite", true); // The monitor sees no step whose loss is not finite.
      throw new FinalFailureException(e.getMessage() + lastGood(checkpoints), e);
    }
  }

  /** A run that has succeeded is trained to more epochs from its last checkpoint only. */
  private static void requireNotExtended(RunRecord record) throws IOException {
    if (record.hasEnded()) {
      throw new IOException(
          "cannot train run %s further: %s has no undamaged checkpoint; start a new run"
              .formatted(record.folder().id(), record.folder().checkpoints()));
    }
  }

  private static Optional<String> changed(String field, String was, String is) {
    return was.equals(is)
        ? Optional.empty()
        : Optional.of("%s=%s (was %s)".formatted(field, is, was));
  }

  /** Records what a resume changes: the device, the folder of the same images, the epochs. */
  private static void recordChanges(RunRecord record, TrainingConfig config) throws IOException {
    RunConfig was = record.run().getConfig();
    RunConfig is = config.config();
    if (!was.getDevice().equals(is.getDevice()) || !was.getData().equals(is.getData())) {
      log.warn(
          "run {} moves: {}",
          record.folder().id(),
          Stream.of(
                  changed("device", was.getDevice(), is.getDevice()),
                  changed("data", was.getData(), is.getData()))
              .flatMap(Optional::stream)
              .collect(Collectors.joining(", ")));
      record.update(run -> run.getConfigBuilder().setDevice(is.getDevice()).setData(is.getData()));
    }
    if (was.getEpochs() != is.getEpochs()) {
      log.info(
          "run {} continues to {} epochs (was {})",
          record.folder().id(),
          is.getEpochs(),
          was.getEpochs());
      record.extend(is.getEpochs());
    }
  }

  private static void logImagesLeftOut(TrainingConfig config, ImageDataset training) {
    if (config.hyperparameters().imagesPerEpoch(training.size()) < training.size()) {
      log.info(
          "each epoch leaves out one of {} images: the last batch would have one image, and batch"
              + " normalization needs two",
          training.size());
    }
  }

  private Evaluator evaluator(TrainingConfig config, TrainingInputs inputs) {
    return Evaluator.of(
        config.config(), inputs.images(), dataRoot, cache, inputs.device(), metrics::progressed);
  }

  private static String lastGood(CheckpointStore checkpoints) throws IOException {
    List<Path> files = checkpoints.files();
    return files.isEmpty()
        ? "; no epoch was completed, so there is no checkpoint"
        : "; the last good checkpoint is " + files.get(files.size() - 1);
  }

  /**
   * Leaves a run to be continued by another process, with the reason and the number of attempts
   * that got no further than the one before.
   */
  private Outcome suspend(RunRecord record, NativeFailureException failure) {
    DeviceFailure last = record.run().getDeviceFailure();
    long step = record.run().getProgress().getStep();
    int attempts = last.getAttempts() > 0 && step <= last.getStep() ? last.getAttempts() : 0;
    DeviceFailure now =
        DeviceFailure.newBuilder()
            .setKind(failure.kind().label())
            .setStep(step)
            .setAttempts(attempts + 1)
            .build();
    String reason =
        "interrupted at step %d: %s".formatted(step, failure.getMessage())
            + (attempts > 0 ? " (attempt %d without progress)".formatted(attempts + 1) : "");
    // A run that was to start on a GPU waits for it, as one that has started there does.
    String device =
        record.run().getDevice().isEmpty()
            ? TrainingDevice.cudaDevice(record.run().getConfig().getDevice())
            : record.run().getDevice();
    metrics.deviceFailed(now);
    try {
      record.update(run -> run.setReason(reason).setDeviceFailure(now).setDevice(device));
      record.event(
          RunEvent.newBuilder()
              .setWarning(
                  RunEvent.Warning.newBuilder()
                      .setStep(step)
                      .setKind(now.getKind())
                      .setMessage(reason)));
    } catch (IOException e) {
      log.warn(
          "cannot write the state of run {}: {}", record.folder().id(), ErrorMessages.oneLine(e));
    }
    return Outcome.deviceFailed(reason);
  }

  /** Writes why a run is where it is; if that fails, it is continued nevertheless. */
  private static void note(RunRecord record, String reason) {
    try {
      record.update(run -> run.setReason(reason));
    } catch (IOException e) {
      log.warn(
          "cannot write the state of run {}: {}", record.folder().id(), ErrorMessages.oneLine(e));
    }
  }
}
