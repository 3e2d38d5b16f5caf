package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.checkpoint.CheckpointStore;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.eval.Evaluator;
import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.StopSignal;

/**
 * What the listeners of a session work with.
 *
 * @param training the images that the run is trained on
 * @param firstStep the step that the session starts from
 * @param terminal whether to show a progress bar instead of log lines
 */
public record SessionContext(
    RunRecord record,
    TrainingConfig config,
    StopSignal stop,
    ImageDataset training,
    CheckpointStore checkpoints,
    CheckpointPublisher publisher,
    Evaluator evaluator,
    TrainerMetrics metrics,
    long firstStep,
    boolean terminal) {

  int stepsPerEpoch() {
    return config.hyperparameters().stepsPerEpoch(training.size());
  }

  int epochs() {
    return config.hyperparameters().epochs();
  }
}
