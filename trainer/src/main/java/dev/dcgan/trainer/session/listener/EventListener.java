package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.run.ProgressEstimator;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Metrics;
import dev.dcgan.trainer.train.TrainingListener.Step;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.StepMetrics;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Records progress, steps and epochs in the run. */
final class EventListener implements SessionListener {

  /** Steps from one event to the next. */
  static final int STEPS_PER_EVENT = 50;

  private static final Logger log = LoggerFactory.getLogger(EventListener.class);

  private final RunWriter writer;
  private final int stepsPerEpoch;
  private final ProgressEstimator progress;

  EventListener(RunWriter writer, int stepsPerEpoch, ProgressEstimator progress) {
    this.writer = writer;
    this.stepsPerEpoch = stepsPerEpoch;
    this.progress = progress;
  }

  @Override
  public void onResume(CheckpointStore.Kept from) {
    log.info("resuming from {}", from.file());
    writer.event(
        RunEvent.newBuilder()
            .setResumed(
                RunEvent.Resumed.newBuilder()
                    .setEpoch(from.checkpoint().epoch())
                    .setStep(from.checkpoint().step())
                    .setCheckpoint(from.file().getFileName().toString())));
  }

  @Override
  public void onStep(Step step) {
    double imagesPerSecond = step.images() / step.seconds();
    writer
        .record()
        .progress(
            Progress.newBuilder()
                .setEpoch((int) (step.step() / stepsPerEpoch))
                .setStep(step.step())
                .setSteps(progress.steps())
                .setImagesPerSecond(imagesPerSecond)
                .setSecondsLeft(progress.secondsLeft(step.step()))
                .build());
    if (step.step() % STEPS_PER_EVENT == 0) {
      writer.event(
          RunEvent.newBuilder()
              .setStep(figures(step.epoch(), step.step(), step.metrics(), imagesPerSecond)));
    }
  }

  @Override
  public void onEpoch(Epoch epoch) {
    writer.event(
        RunEvent.newBuilder()
            .setEpochCompleted(
                RunEvent.EpochCompleted.newBuilder()
                    .setMetrics(
                        figures(
                            epoch.epoch(), epoch.step(), epoch.metrics(), epoch.imagesPerSecond()))
                    .setSeconds(epoch.seconds())
                    .setSecondsLeft(progress.secondsLeft(epoch.step()))));
  }

  private static StepMetrics figures(int epoch, long step, Metrics metrics, double speed) {
    return StepMetrics.newBuilder()
        .setEpoch(epoch)
        .setStep(step)
        .setDiscriminatorLoss(metrics.discriminatorLoss())
        .setGeneratorLoss(metrics.generatorLoss())
        .setRealScore(metrics.realScore())
        .setFakeScore(metrics.fakeScore())
        .setImagesPerSecond(speed)
        .build();
  }
}
