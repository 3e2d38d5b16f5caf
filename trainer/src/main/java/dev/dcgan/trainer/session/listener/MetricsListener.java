package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.metrics.TrainerMetrics;
import dev.dcgan.trainer.run.ProgressEstimator;
import dev.dcgan.trainer.train.TrainingListener.Step;

/** Shows the steps in the Prometheus metrics. */
final class MetricsListener implements SessionListener {

  private final TrainerMetrics metrics;
  private final ProgressEstimator progress;

  MetricsListener(TrainerMetrics metrics, ProgressEstimator progress) {
    this.metrics = metrics;
    this.progress = progress;
  }

  @Override
  public void onStep(Step step) {
    metrics.onStep(
        step, (double) step.step() / progress.steps(), progress.secondsLeft(step.step()));
  }
}
