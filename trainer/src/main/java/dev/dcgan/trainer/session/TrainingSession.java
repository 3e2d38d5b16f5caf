package dev.dcgan.trainer.session;

import dev.dcgan.trainer.config.PublishPolicy;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.FinalFailureException;
import dev.dcgan.server.OneLine;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.data.DatasetOptions;
import dev.dcgan.trainer.data.Datasets;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.eval.Evaluator;
import dev.dcgan.trainer.publish.ModelPublisher;
import dev.dcgan.trainer.run.RunRecord;
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
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries one run from QUEUED, or from where it was interrupted, to its end: the same for {@code
 * trainer train} and for the service. One at a time in a process; all on the caller's thread.
 */
public final class TrainingSession {

  private static final Logger log = LoggerFactory.getLogger("train");

  private final ModelRepository repository;
  private final Path dataRoot;
  private final Path cache;
  private final TrainerMetrics metrics;
  private final boolean terminal;
  private final boolean startedAgain;
  private final Devices devices;

  /** {@link TrainingDevice#select(String, String)}, but for tests. */
  interface Devices {
    TrainingDevice select(String choice, String trainedOn) throws IOException;
  }

  /**
   * What all runs share.
   *
   * @param dataRoot what relative paths of data are relative to
   * @param cache for what can be made again: classifiers
   * @param terminal whether a person watches: a progress bar instead of a line now and then
   * @param startedAgain whether runs are started until they end: an {@link IOException}, which may
   *     pass, then leaves the run as it is, and is thrown
   */
  public TrainingSession(
      ModelRepository repository,
      Path dataRoot,
      Path cache,
      TrainerMetrics metrics,
      boolean terminal,
      boolean startedAgain) {
    this(repository, dataRoot, cache, metrics, terminal, startedAgain, TrainingDevice::select);
  }

  public TrainingSession(
      ModelRepository repository,
      Path dataRoot,
      Path cache,
      TrainerMetrics metrics,
      boolean terminal,
      boolean startedAgain,
      Devices devices) {
    this.devices = devices;
    this.repository = repository;
    this.dataRoot = dataRoot;
    this.cache = cache;
    this.metrics = metrics;
    this.terminal = terminal;
    this.startedAgain = startedAgain;
  }

  /** What a run needs of the machine. */
  public record Means(TrainingDevice device, DatasetSplit pictures) implements AutoCloseable {

    @Override
    public void close() throws IOException {
      pictures.close();
    }
  }

  /**
   * Finds what a plan needs.
   *
   * @param trainedOn the device that the run was trained on so far; empty: none yet
   * @throws InterruptedIOException asked to end before the pictures were read
   * @throws NativeFailureException that device does not work now
   * @throws IOException the device is not there, or has too little memory; the pictures cannot be
   *     read, or do not fit the plan
   */
  public Means prepare(TrainingConfig plan, String trainedOn, StopSignal control) throws IOException {
    TrainingDevice device = devices.select(plan.config().getDevice(), trainedOn);
    plan.resources().requireMemory(device);
    if (device.isGpu()) {
      CudaEnvironment.check(plan.hyperparameters(), System.getenv()).ifPresent(log::warn);
    }
    DatasetSplit pictures =
        control.interruptibly(
            () ->
                openPictures(
                    plan.config(), plan.architecture().shape(), dataRoot, metrics::progressed));
    try {
      TrainingLoop.requireFit(
          plan.architecture(), plan.hyperparameters().batchSize(), pictures.training());
      Means means = new Means(device, pictures);
      try (Evaluator quality = quality(plan, means)) {
        quality.checkFeatures();
        if (plan.publish().kind() == PublishPolicy.Kind.BEST && !quality.isPossible()) {
          throw new IOException(
              "--publish best: %s has no labels to tell the best by; give --features <model.onnx>"
                  .formatted(pictures.training().name()));
        }
      }
      return means;
    } catch (IOException | RuntimeException e) {
      pictures.close();
      throw e;
    }
  }

  /**
   * Opens the pictures that a complete config names.
   *
   * @param root what a relative path is relative to
   * @param progressed told of each picture that was read
   */
  public static DatasetSplit openPictures(RunConfig config, ImageShape shape, Path root, Runnable progressed)
      throws IOException {
    if (!config.getDataset().isEmpty()) {
      return DigitsDataset.split(config.getImages(), config.getSeed());
    }
    DatasetOptions defaults = DatasetOptions.defaults();
    return Datasets.open(
        root.resolve(config.getData()),
        shape,
        new DatasetOptions(
            config.getHeldOut(),
            config.hasChannels(),
            config.hasMaxUnreadable()
                ? OptionalInt.of(config.getMaxUnreadable())
                : OptionalInt.empty(),
            defaults.memoryBytes(),
            defaults.scratchFolder()),
        progressed);
  }

  /**
   * {@link #prepare} and {@link #train(RunRecord, TrainingConfig, Means, StopSignal)}.
   *
   * @throws NativeFailureException the device or its memory failed: no other run may be trained in
   *     this process, and this one goes on in another
   */
  public void train(RunRecord record, TrainingConfig plan, StopSignal control) throws NativeFailureException {
    // First: to read the pictures may take long, or hang.
    metrics.begin(record.run());
    try (Means means = prepare(plan, record.run().getDevice(), control)) {
      carry(record, plan, means, control);
    } catch (InterruptedIOException e) {
      leave(record, control);
    } catch (NativeFailureException e) {
      suspend(record, control, e);
      throw e;
    } catch (IOException e) {
      fail(record, e);
    } catch (RuntimeException e) {
      failByFault(record, e);
    } finally {
      metrics.end(record.run());
    }
  }

  /**
   * Trains. What goes wrong is the run's end and its reason; a run that was interrupted stays as it
   * is. An end that could not be written is the record's to tell ({@link RunRecord#isUnwritten}).
   * The caller holds the run's lock.
   *
   * @throws NativeFailureException the device or its memory failed: as the next
   * @throws IOException something is in the way of a run that is to be started again: it is left
   *     RUNNING, and goes on where it was
   */
  public void train(RunRecord record, TrainingConfig plan, Means means, StopSignal control) throws IOException {
    metrics.begin(record.run());
    try {
      carry(record, plan, means, control);
    } catch (NativeFailureException e) {
      suspend(record, control, e);
      throw e;
    } finally {
      metrics.end(record.run());
    }
  }

  private void carry(RunRecord record, TrainingConfig plan, Means means, StopSignal control)
      throws IOException {
    try {
      String device = means.device().toString();
      if (!record.run().getDevice().equals(device)) {
        record.update(run -> run.setDevice(device));
      }
      if (record.run().getState() == RunState.RUN_STATE_QUEUED) {
        record.state(RunState.RUN_STATE_RUNNING, "");
      } else {
        note(record, ""); // Interrupted it was; now it goes on.
      }
      end(record, run(record, plan, means, control), control);
    } catch (FinalFailureException e) {
      fail(record, e);
    } catch (IOException e) {
      requireNoNativeFailure(record, means, e);
      if (startedAgain && !record.hasEnded()) {
        note(record, OneLine.of(e));
        throw e;
      }
      fail(record, e);
    } catch (RuntimeException e) {
      requireNoNativeFailure(record, means, e);
      failByFault(record, e);
    }
  }

  /**
   * Requires that an exception is no failure of the device or its memory. On the CPU a native
   * failure other than of memory is a fault of this program: it would come again.
   */
  private static void requireNoNativeFailure(RunRecord record, Means means, Exception thrown)
      throws NativeFailureException {
    Optional<NativeFailureException> failure = NativeFailureException.find(thrown);
    if (failure.isPresent()
        && !record.hasEnded()
        && (means.device().isGpu() || failure.get().kind() != NativeFailureException.Kind.OTHER)) {
      throw failure.get();
    }
  }

  /** Whether it was trained to the end; otherwise it was asked to end earlier. */
  private boolean run(RunRecord record, TrainingConfig plan, Means means, StopSignal control)
      throws IOException {
    ImageDataset pictures = means.pictures().training();
    log.info(
        "{} pictures of {} from {}; {} on {}; run in {}",
        pictures.size(),
        pictures.shape(),
        pictures.name(),
        plan.architecture().title(),
        means.device(),
        record.folder());
    log.info("estimated resources: {}", plan.resources());
    CheckpointStore checkpoints =
        new CheckpointStore(
            record.folder().checkpoints(),
            plan.config().getKeepCheckpoints(),
            record.run().getBestCheckpoint());
    checkpoints.sweep();
    Optional<CheckpointStore.Kept> from = checkpoints.newest();
    if (from.isEmpty()) {
      plan.requireDisk(record.folder().checkpoints(), pictures.size());
    }
    try (Evaluator quality = quality(plan, means);
        RunUpkeep upkeep =
            new RunUpkeep(
                record,
                plan,
                control,
                pictures,
                checkpoints,
                new ModelPublisher(repository, plan.config().getModel()),
                quality,
                metrics,
                from.map(kept -> kept.checkpoint().step()).orElse(0L),
                terminal)) {
      from.ifPresent(upkeep::continued);
      new TrainingLoop(plan.architecture(), plan.hyperparameters(), pictures, upkeep)
          .run(means.device(), from.map(CheckpointStore.Kept::checkpoint).orElse(null));
      return upkeep.finish();
    } catch (NonFiniteException e) {
      metrics.warned("non_finite", true); // The watchdog sees no step whose loss is not finite.
      throw new FinalFailureException(e.getMessage() + lastGood(checkpoints), e);
    }
  }

  private Evaluator quality(TrainingConfig plan, Means means) {
    return Evaluator.of(
        plan.config(), means.pictures(), dataRoot, cache, means.device(), metrics::progressed);
  }

  private static String lastGood(CheckpointStore checkpoints) throws IOException {
    List<Path> files = checkpoints.files();
    return files.isEmpty()
        ? "; no epoch was completed, so there is no checkpoint"
        : "; the last good checkpoint is " + files.get(files.size() - 1);
  }

  private static void end(RunRecord record, boolean done, StopSignal control) throws IOException {
    String at = "step " + record.run().getProgress().getStep();
    if (done) {
      record.state(RunState.RUN_STATE_SUCCEEDED, "");
    } else if (control.asked() == StopSignal.Ask.INTERRUPT) {
      note(record, "interrupted at " + at);
      log.info(
          "interrupted at {}; {} goes on from there",
          at,
          record.run().getByService()
              ? "the service, started again,"
              : "`trainer train --resume " + record.folder().id() + "`");
    } else {
      record.state(RunState.RUN_STATE_STOPPED, control.reason() + " at " + at);
      log.info("{} at {}", control.reason(), at);
    }
  }

  /** Ends it where it was asked to stop after the interruption; otherwise it stays as it is. */
  private static void leave(RunRecord record, StopSignal control) {
    if (control.asked() != StopSignal.Ask.STOP) {
      log.info("interrupted before run {} went on", record.folder().id());
      return;
    }
    try {
      end(record, false, control);
    } catch (IOException e) {
      fail(record, e);
    }
  }

  /**
   * Leaves a run to be continued by another process, and says why; a run that was asked to stop
   * ends. Counts the attempts that got no further than the one before.
   */
  private void suspend(RunRecord record, StopSignal control, NativeFailureException failure) {
    log.debug("run {} is interrupted", record.folder().id(), failure);
    if (control.asked() == StopSignal.Ask.STOP) {
      leave(record, control);
      return;
    }
    DeviceFailure before = record.run().getDeviceFailure();
    long step = record.run().getProgress().getStep();
    int attempts = before.getAttempts() > 0 && step <= before.getStep() ? before.getAttempts() : 0;
    DeviceFailure now =
        DeviceFailure.newBuilder()
            .setKind(failure.kind().label())
            .setStep(step)
            .setAttempts(attempts + 1)
            .build();
    String reason = "at step %d: %s".formatted(step, failure.getMessage());
    if (attempts > 0) {
      reason += " (attempt %d without progress)".formatted(attempts + 1);
    }
    String interrupted = "interrupted " + reason;
    // A run that was to begin on a GPU waits for it as one that has begun.
    String device =
        record.run().getDevice().isEmpty()
            ? TrainingDevice.cudaDevice(record.run().getConfig().getDevice())
            : record.run().getDevice();
    metrics.deviceFailed(now);
    try {
      record.update(run -> run.setReason(interrupted).setDeviceFailure(now).setDevice(device));
      record.event(
          RunEvent.newBuilder()
              .setWarned(
                  RunEvent.Warned.newBuilder()
                      .setStep(step)
                      .setKind(now.getKind())
                      .setMessage(interrupted)));
    } catch (IOException e) {
      log.warn("run {}: its state cannot be written ({})", record.folder().id(), OneLine.of(e));
    }
  }

  /** Says where a run stands; where that cannot be written it goes on all the same. */
  private static void note(RunRecord record, String reason) {
    try {
      record.update(run -> run.setReason(reason));
    } catch (IOException e) {
      log.warn("run {}: its state cannot be written ({})", record.folder().id(), OneLine.of(e));
    }
  }

  private static void fail(RunRecord record, IOException e) {
    log.debug("run {} failed", record.folder().id(), e);
    fail(record, OneLine.of(e));
  }

  private static void failByFault(RunRecord record, RuntimeException e) {
    log.error("run {} failed by a fault of this program", record.folder().id(), e);
    fail(record, "a fault of this program; its log has the cause");
  }

  private static void fail(RunRecord record, String reason) {
    if (record.hasEnded()) {
      // What failed is to write its end, or the event that says so.
      log.error("run {}: {}", record.folder().id(), reason);
      return;
    }
    try {
      record.state(RunState.RUN_STATE_FAILED, reason);
    } catch (IOException e) {
      log.error("the end of run {} could not be written: {}", record.folder().id(), OneLine.of(e));
    }
  }
}
