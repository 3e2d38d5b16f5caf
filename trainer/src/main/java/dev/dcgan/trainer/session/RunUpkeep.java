package dev.dcgan.trainer.session;

import dev.dcgan.trainer.config.PublishPolicy;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.eval.Evaluator;
import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.publish.ModelPublisher;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.train.SampleGrid;
import dev.dcgan.trainer.train.TrainingListener;
import dev.dcgan.trainer.train.TrainingMonitor;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.StepMetrics;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a run does beside training: it tells how far it is, keeps checkpoints, draws sheets,
 * measures quality, watches for trouble, and publishes. On the training thread.
 *
 * <p>A full disk costs what could not be written, not the run.
 */
final class RunUpkeep implements TrainingListener, AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger("train");
  private static final int STEPS_AN_EVENT = 50;

  private final RunRecord record;
  private final TrainingConfig plan;
  private final StopSignal control;
  private final ImageDataset training;
  private final CheckpointStore checkpoints;
  private final ModelPublisher publisher;
  private final TrainerMetrics metrics;
  private final BestEffort attempts;
  private final ProgressEstimator pace;
  private final ConsoleProgress progress;
  private final TensorBoardListener board;
  private final Evaluator quality;
  private final TrainingMonitor watchdog = new TrainingMonitor();

  // Mutable state
  private @Nullable IOException unpublished;
  private boolean trained;

  RunUpkeep(
      RunRecord record,
      TrainingConfig plan,
      StopSignal control,
      ImageDataset training,
      CheckpointStore checkpoints,
      ModelPublisher publisher,
      Evaluator quality,
      TrainerMetrics metrics,
      long firstStep,
      boolean terminal) {
    this.record = record;
    this.plan = plan;
    this.control = control;
    this.checkpoints = checkpoints;
    this.publisher = publisher;
    this.quality = quality;
    this.metrics = metrics;
    this.training = training;
    attempts = new BestEffort(metrics);
    int epochs = plan.hyperparameters().epochs();
    int stepsPerEpoch = plan.hyperparameters().stepsPerEpoch(training.size());
    pace = new ProgressEstimator(firstStep, (long) epochs * stepsPerEpoch);
    progress = new ConsoleProgress(epochs, stepsPerEpoch, pace, terminal);
    board = new TensorBoardListener(record.folder().board(), firstStep, attempts);
  }

  /** The run carries on from a checkpoint. */
  void continued(CheckpointStore.Kept from) {
    log.info("carrying on from {}", from.file());
    event(
        RunEvent.newBuilder()
            .setResumed(
                RunEvent.Resumed.newBuilder()
                    .setEpoch(from.checkpoint().epoch())
                    .setStep(from.checkpoint().step())
                    .setCheckpoint(from.file().getFileName().toString())));
  }

  @Override
  public Next onStep(Step step) {
    metrics.onStep(step, pace);
    progress.onStep(step);
    record.progress(progress(step));
    if (step.step() % STEPS_AN_EVENT == 0) {
      event(
          RunEvent.newBuilder()
              .setStep(
                  figures(
                      step.epoch(), step.step(), step.figures(), step.images() / step.seconds())));
      board.figures("step", step.step(), step.figures());
    }
    bark(watchdog.onStep(step.step(), step.figures()));
    int every = plan.config().getCheckpointEvery();
    if (control.asked() != StopSignal.Ask.NONE) {
      return Next.STOP;
    }
    return every > 0 && step.step() % every == 0 ? Next.CHECKPOINT : Next.CONTINUE;
  }

  @Override
  public void onEpoch(Epoch epoch) {
    progress.onEpoch(epoch);
    board.figures("epoch", epoch.step(), epoch.figures());
    event(
        RunEvent.newBuilder()
            .setEpochCompleted(
                RunEvent.EpochCompleted.newBuilder()
                    .setMetrics(
                        figures(
                            epoch.epoch(), epoch.step(), epoch.figures(), epoch.imagesPerSecond()))
                    .setSeconds(epoch.seconds())
                    .setSecondsLeft(pace.secondsLeft(epoch.step()))));
  }

  @Override
  public Next atEpochEnd(int epoch, Snapshot snapshot) throws IOException {
    if (epoch > record.run().getEpochsCompleted()) {
      Checkpoint checkpoint = snapshot.checkpoint();
      // First: what fails below must not cost the epoch.
      Optional<Path> file = save(checkpoint);
      double diversity = sheet(epoch, snapshot.sheet(), checkpoint.step());
      Optional<QualityReport> quality;
      try {
        quality =
            plan.measuresAfter(epoch)
                ? measure(epoch, checkpoint.step(), snapshot)
                : Optional.empty();
      } catch (InterruptedIOException e) {
        return Next.STOP; // The epoch is not completed: its end comes again.
      }
      bark(watchdog.onEpoch(checkpoint.step(), diversity, coverage(quality)));
      boolean best = quality.isPresent() && keepIfBest(quality.get(), file);
      boolean publishesBest = best && plan.publish().kind() == PublishPolicy.Kind.BEST;
      boolean done = true;
      if (publishesBest || plan.publishesAfter(epoch)) {
        done = publish(epoch, checkpoint, quality.map(QualityReport::figures).orElse(Map.of()));
      }
      if (publishesBest && !done && file.isPresent()) {
        update(run -> run.setBestUnpublished(true));
      }
      // Otherwise the last epoch's end comes again, where the run is started again.
      if (done || epoch < plan.hyperparameters().epochs()) {
        update(run -> run.setEpochsCompleted(epoch));
      }
    }
    trained = epoch == plan.hyperparameters().epochs();
    return control.asked() == StopSignal.Ask.NONE ? Next.CONTINUE : Next.STOP;
  }

  @Override
  public void onCheckpoint(Checkpoint checkpoint) {
    save(checkpoint);
  }

  /**
   * Whether the run came to its end, rather than having been asked to end earlier.
   *
   * @throws IOException the last model, or the best, could not be published
   */
  boolean finish() throws IOException {
    if (!trained) {
      return false;
    }
    List<Path> kept = checkpoints.files();
    Object newest = kept.isEmpty() ? "no checkpoint" : kept.get(kept.size() - 1);
    log.info("trained to step {}; kept {}", record.run().getProgress().getStep(), newest);
    if (record.run().getBestUnpublished()) {
      publishBest(kept);
    }
    if (unpublished != null) {
      throw unpublished;
    }
    update(run -> run.setEpochsCompleted(plan.hyperparameters().epochs()));
    return true;
  }

  /** The end of its epoch, where that failed, does not come again. */
  private void publishBest(List<Path> kept) throws IOException {
    String best = record.run().getBestCheckpoint();
    for (Path file : kept) {
      if (file.getFileName().toString().equals(best)) {
        Checkpoint checkpoint = CheckpointFile.read(file);
        publish(checkpoint.epoch(), checkpoint, CheckpointPublisher.quality(record, checkpoint.step()));
      }
    }
  }

  private Optional<Path> save(Checkpoint checkpoint) {
    long start = System.nanoTime();
    List<Path> saved = new ArrayList<>(1);
    boolean kept = attempts.attempt("a checkpoint", () -> saved.add(checkpoints.save(checkpoint)));
    double seconds = (System.nanoTime() - start) / 1e9;
    if (!kept) {
      return Optional.empty();
    }
    Path file = saved.get(0);
    metrics.checkpointKept(seconds);
    event(
        RunEvent.newBuilder()
            .setCheckpointSaved(
                RunEvent.CheckpointSaved.newBuilder()
                    .setStep(checkpoint.step())
                    .setFile(file.getFileName().toString())
                    .setSeconds(seconds)));
    update(run -> {});
    return Optional.of(file);
  }

  /** Draws it; returns how much its pictures differ, relative to real ones. */
  private double sheet(int epoch, List<byte[]> sheet, long step) throws IOException {
    Path samples = record.folder().samples();
    SampleGrid.Png grid = SampleGrid.of(training.shape(), sheet);
    attempts.attempt(
        "a sheet of samples",
        () -> {
          grid.write(samples.resolve("epoch-%03d.png".formatted(epoch)));
          SampleGrid.of(training.shape(), real(sheet.size()), sheet)
              .write(record.folder().realVersusGenerated());
        });
    board.sheet(step, grid);
    double diversity = quality.diversity(sheet);
    metrics.diversity(diversity);
    board.scalar("quality/diversity", step, diversity);
    return diversity;
  }

  private Optional<QualityReport> measure(int epoch, long step, Snapshot snapshot)
      throws IOException {
    long start = System.nanoTime();
    Optional<QualityReport> measured =
        control.interruptibly(
            () -> quality.measure(snapshot::pixels, plan.architecture().latentSize()));
    double seconds = (System.nanoTime() - start) / 1e9;
    if (measured.isPresent()) {
      QualityReport report = measured.get();
      log.info("quality after epoch {}, measured in {} s", epoch, Math.round(seconds));
      report.toString().lines().forEach(log::info);
      metrics.measured(report, seconds);
      board.quality(step, report.figures());
      event(
          RunEvent.newBuilder()
              .setEvaluated(
                  RunEvent.Evaluated.newBuilder()
                      .setEpoch(epoch)
                      .setStep(step)
                      .putAllQuality(report.figures())
                      .setSeconds(seconds)));
      update(run -> run.clearQuality().putAllQuality(report.figures()));
    }
    return measured;
  }

  /** The share of the data's classes that the images show. */
  private static OptionalDouble coverage(Optional<QualityReport> quality) {
    return quality.isPresent() && quality.get().generated().classes() != null
        ? OptionalDouble.of(
            quality.get().generated().classes().covered() / (double) quality.get().classes())
        : OptionalDouble.empty();
  }

  private boolean keepIfBest(QualityReport report, Optional<Path> file) {
    Run run = record.run();
    double distance = report.generated().frechetDistance();
    // An epoch's end that comes again: it was the best when it came first.
    boolean again =
        file.isPresent() && file.get().getFileName().toString().equals(run.getBestCheckpoint());
    if (!run.getBestCheckpoint().isEmpty() && distance >= run.getBestFrechetDistance() && !again) {
      return false;
    }
    if (file.isPresent()) {
      attempts.attempt("the best checkpoint", () -> checkpoints.keepAsBest(file.get()));
      update(
          changed ->
              changed
                  .setBestCheckpoint(file.get().getFileName().toString())
                  .setBestFrechetDistance(distance));
    }
    return true;
  }

  /** Whether it is published now. */
  private boolean publish(int epoch, Checkpoint checkpoint, Map<String, Double> quality) {
    try {
      ModelBundle bundle = publisher.publishOnce(checkpoint, record.folder().id(), quality);
      unpublished = null;
      ModelVersion version = bundle.manifest().getModel();
      if (record.run().getPublishedList().contains(version)) {
        update(Run.Builder::clearBestUnpublished);
      } else {
        metrics.published();
        event(
            RunEvent.newBuilder()
                .setModelPublished(
                    RunEvent.ModelPublished.newBuilder().setEpoch(epoch).setModel(version)));
        update(run -> run.addPublished(version).clearBestUnpublished());
      }
      return true;
    } catch (IOException e) {
      log.error("epoch {} was not published: {}", epoch, ErrorMessages.oneLine(e));
      unpublished = e;
      return false;
    }
  }

  private void bark(List<TrainingMonitor.Warning> warnings) {
    for (TrainingMonitor.Warning warning : warnings) {
      String kind = warning.kind().name().toLowerCase(Locale.ROOT);
      metrics.warned(kind, warning.begins());
      if (warning.begins()) {
        log.warn("step {}: {}", warning.step(), warning.message());
      } else {
        log.info("step {}: {}", warning.step(), warning.message());
      }
      event(
          RunEvent.newBuilder()
              .setWarning(
                  RunEvent.Warning.newBuilder()
                      .setStep(warning.step())
                      .setKind(kind)
                      .setMessage(warning.message())
                      .setCleared(!warning.begins())));
      if (warning.kind() == TrainingMonitor.Kind.COLLAPSED
          && warning.begins()
          && plan.config().getOnCollapse().equals("stop")) {
        control.stop(warning.message());
      }
    }
  }

  private List<byte[]> real(int count) throws IOException {
    List<byte[]> real = new ArrayList<>();
    for (int i = 0; i < Math.min(count, training.size()); i++) {
      byte[] picture = new byte[training.shape().values()];
      training.copyPixels(i, picture, 0);
      real.add(picture);
    }
    return real;
  }

  private void event(RunEvent.Builder event) {
    attempts.attempt("an event", () -> record.event(event));
  }

  /** Changes run.json, with the names of the checkpoints that are kept now. */
  private void update(Consumer<Run.Builder> change) {
    attempts.attempt(
        "the run's state",
        () -> {
          List<String> kept =
              checkpoints.files().stream().map(file -> file.getFileName().toString()).toList();
          record.update(
              run -> {
                run.clearCheckpoints().addAllCheckpoints(kept);
                change.accept(run);
              });
        });
  }

  private Progress progress(Step step) {
    int stepsPerEpoch = plan.hyperparameters().stepsPerEpoch(training.size());
    return Progress.newBuilder()
        .setEpoch((int) (step.step() / stepsPerEpoch))
        .setStep(step.step())
        .setSteps(pace.steps())
        .setImagesPerSecond(step.images() / step.seconds())
        .setSecondsLeft(pace.secondsLeft(step.step()))
        .build();
  }

  private static StepMetrics figures(int epoch, long step, Figures figures, double pace) {
    return StepMetrics.newBuilder()
        .setEpoch(epoch)
        .setStep(step)
        .setDiscriminatorLoss(figures.discriminatorLoss())
        .setGeneratorLoss(figures.generatorLoss())
        .setRealScore(figures.realScore())
        .setFakeScore(figures.fakeScore())
        .setImagesPerSecond(pace)
        .build();
  }

  @Override
  public void close() {
    progress.close();
    board.close();
  }
}
