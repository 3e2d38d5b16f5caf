package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.trainer.train.TrainingListener.Step;
import dev.dcgan.trainer.train.TrainingMonitor;
import dev.dcgan.v1.RunEvent;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Warns when training goes wrong, and stops the run on a collapse if the config says so. */
final class MonitorListener implements SessionListener {

  private static final Logger log = LoggerFactory.getLogger(MonitorListener.class);

  private static final String BUDGET = "training_budget";

  private final SessionContext context;
  private final RunWriter writer;
  private final TrainingMonitor monitor;

  MonitorListener(SessionContext context, RunWriter writer) {
    this.context = context;
    this.writer = writer;
    monitor = new TrainingMonitor((long) context.epochs() * context.stepsPerEpoch());
    if (context.firstStep() == 0) {
      context.config().warnings(context.training().size()).forEach(this::warnOfBudget);
    }
  }

  @Override
  public void onStep(Step step) {
    warn(monitor.onStep(step.step(), step.metrics()));
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) {
    warn(monitor.onEpoch(end.step(), end.diversity(), coverage(end.quality())));
    return end;
  }

  /** The share of the dataset's classes that the generated images show. */
  private static OptionalDouble coverage(Optional<QualityReport> quality) {
    return quality.isPresent() && quality.get().generated().classes() != null
        ? OptionalDouble.of(
            quality.get().generated().classes().modesCovered() / (double) quality.get().classes())
        : OptionalDouble.empty();
  }

  /** The session has logged it before training; this is for those who watch the run. */
  private void warnOfBudget(String message) {
    writer.event(
        RunEvent.newBuilder()
            .setWarning(
                RunEvent.Warning.newBuilder().setStep(0).setKind(BUDGET).setMessage(message)));
  }

  private void warn(List<TrainingMonitor.Warning> warnings) {
    for (TrainingMonitor.Warning warning : warnings) {
      String kind = warning.kind().name().toLowerCase(Locale.ROOT);
      context.metrics().warned(kind, warning.begins());
      if (warning.begins()) {
        log.warn("step {}: {}", warning.step(), warning.message());
      } else {
        log.info("step {}: {}", warning.step(), warning.message());
      }
      writer.event(
          RunEvent.newBuilder()
              .setWarning(
                  RunEvent.Warning.newBuilder()
                      .setStep(warning.step())
                      .setKind(kind)
                      .setMessage(warning.message())
                      .setCleared(!warning.begins())));
      if (warning.kind() == TrainingMonitor.Kind.COLLAPSED
          && warning.begins()
          && context.config().config().getOnCollapse().equals("stop")) {
        context.stop().stop(warning.message());
      }
    }
  }
}
