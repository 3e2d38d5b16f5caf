package dev.dcgan.trainer;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.Pictures;
import dev.dcgan.trainer.train.Checkpoints;
import dev.dcgan.trainer.train.TrainingDevice;
import dev.dcgan.trainer.train.TrainingLoop;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries one run from QUEUED, or from where it was interrupted, to its end: the same for {@code
 * trainer train} and for the service. One at a time in a process; all on the caller's thread.
 */
final class Training {

  private static final Logger log = LoggerFactory.getLogger("train");

  private final ModelRepository repository;
  private final Path dataRoot;
  private final TrainerMetrics metrics;
  private final boolean terminal;

  /**
   * What all runs share.
   *
   * @param dataRoot what relative paths of data are relative to
   * @param terminal whether a person watches: a progress bar instead of a line now and then
   */
  Training(ModelRepository repository, Path dataRoot, TrainerMetrics metrics, boolean terminal) {
    this.repository = repository;
    this.dataRoot = dataRoot;
    this.metrics = metrics;
    this.terminal = terminal;
  }

  /**
   * Trains. What goes wrong is the run's end and its reason, never an exception; a run that was
   * interrupted, or that another process has, stays as it is.
   */
  void train(RunRecord record, RunPlan plan, RunControl control) {
    String id = record.folder().id();
    try {
      Optional<FileLock> lock = record.folder().tryLock();
      if (lock.isEmpty()) {
        log.warn("run {} is under way in another process", id);
        return;
      }
      try (FileLock held = lock.get();
          var channel = held.acquiredBy()) {
        end(record, run(record, plan, control), control);
      }
    } catch (IOException e) {
      log.error("run {} failed: {}", id, e.getMessage());
      log.debug("run {}", id, e);
      fail(record, String.valueOf(e.getMessage()));
    } catch (RuntimeException e) {
      log.error("run {} failed by a fault of this program", id, e);
      fail(record, "a fault of this program; its log has the cause");
    }
  }

  /** Whether it was trained to the end; otherwise it was asked to end earlier. */
  private boolean run(RunRecord record, RunPlan plan, RunControl control) throws IOException {
    if (record.run().getState() == RunState.RUN_STATE_QUEUED) {
      record.state(RunState.RUN_STATE_RUNNING, "");
    }
    TrainingDevice device = TrainingDevice.select(plan.config().getDevice());
    try (Pictures pictures = open(plan)) {
      ImageDataset training = pictures.training();
      TrainingLoop.requireFit(plan.architecture(), plan.hyperparameters().batchSize(), training);
      log.info(
          "{} pictures of {} from {}; {} on {}; run in {}",
          training.size(),
          training.shape(),
          training.name(),
          plan.architecture().title(),
          device,
          record.folder());
      Checkpoints checkpoints =
          new Checkpoints(
              record.folder().checkpoints(),
              plan.config().getKeepCheckpoints(),
              record.run().getBestCheckpoint());
      checkpoints.sweep();
      Optional<Checkpoints.Kept> from = checkpoints.newest();
      if (from.isPresent()) {
        continued(record, from.get());
      }
      try (RunUpkeep upkeep =
          new RunUpkeep(
              record,
              plan,
              control,
              pictures,
              checkpoints,
              new Publisher(repository, plan.config().getModel()),
              metrics,
              from.map(kept -> kept.checkpoint().step()).orElse(0L),
              terminal)) {
        new TrainingLoop(plan.architecture(), plan.hyperparameters(), training, upkeep)
            .run(device, from.map(Checkpoints.Kept::checkpoint).orElse(null));
        return upkeep.finish();
      }
    }
  }

  private Pictures open(RunPlan plan) throws IOException {
    RunConfig config = plan.config();
    if (config.getDataset().isEmpty()) {
      return Pictures.open(
          dataRoot.resolve(config.getData()),
          plan.architecture().shape(),
          config.getHeldOut(),
          config.getMaxUnreadable());
    }
    return Pictures.digits(config.getImages(), config.getSeed());
  }

  private static void continued(RunRecord record, Checkpoints.Kept from) throws IOException {
    log.info("carrying on from {}", from.file());
    record.event(
        RunEvent.newBuilder()
            .setContinued(
                RunEvent.Continued.newBuilder()
                    .setEpoch(from.checkpoint().epoch())
                    .setStep(from.checkpoint().step())
                    .setCheckpoint(from.file().getFileName().toString())));
  }

  private static void end(RunRecord record, boolean done, RunControl control) throws IOException {
    String at = "step " + record.run().getProgress().getStep();
    if (done) {
      record.state(RunState.RUN_STATE_SUCCEEDED, "");
    } else if (control.asked() == RunControl.Ask.INTERRUPT) {
      record.update(run -> run.setReason("interrupted at " + at));
      log.info("interrupted at {}; the run goes on from there when it is started again", at);
    } else {
      record.state(RunState.RUN_STATE_STOPPED, control.reason() + " at " + at);
      log.info("{} at {}", control.reason(), at);
    }
  }

  private static void fail(RunRecord record, String reason) {
    try {
      record.state(RunState.RUN_STATE_FAILED, reason);
    } catch (IOException e) {
      log.error("the end of run {} could not be written: {}", record.folder().id(), e.getMessage());
    }
  }
}
