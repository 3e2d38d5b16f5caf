package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Evaluates the generator, and adds the quality metrics to the epoch's checkpoint. */
final class EvaluationListener implements SessionListener {

  private static final Logger log = LoggerFactory.getLogger(EvaluationListener.class);

  private final SessionContext context;
  private final RunWriter writer;
  private final BestEffort bestEffort;
  private final TensorBoardListener board;

  EvaluationListener(
      SessionContext context, RunWriter writer, BestEffort bestEffort, TensorBoardListener board) {
    this.context = context;
    this.writer = writer;
    this.bestEffort = bestEffort;
    this.board = board;
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) throws IOException {
    if (!context.config().measuresAfter(end.epoch())) {
      return end;
    }
    long start = System.nanoTime();
    int latentSize = context.config().architecture().latentSize();
    Optional<QualityReport> measured =
        context
            .stop()
            .interruptibly(() -> context.evaluator().measure(end.snapshot()::pixels, latentSize));
    if (measured.isEmpty()) {
      return end;
    }
    EpochEnd evaluated = end.withQuality(measured.get());
    report(evaluated, measured.get(), (System.nanoTime() - start) / 1e9);
    if (end.file().isPresent()) {
      // The whole file is replaced: whenever the process is killed, there is one or the other. Both
      // have the same weights, and the epoch's end is repeated until it is complete.
      bestEffort.attempt("checkpoint", () -> context.checkpoints().save(evaluated.checkpoint()));
    }
    return evaluated;
  }

  private void report(EpochEnd end, QualityReport report, double seconds) {
    log.info("quality after epoch {}, evaluated in {} s", end.epoch(), Math.round(seconds));
    report.toString().lines().forEach(log::info);
    report.warnings().forEach(log::warn);
    context.metrics().measured(report, seconds);
    Map<String, Double> quality = end.checkpoint().quality();
    board.quality(end.step(), report.metrics());
    writer.event(
        RunEvent.newBuilder()
            .setEvaluated(
                RunEvent.Evaluated.newBuilder()
                    .setEpoch(end.epoch())
                    .setStep(end.step())
                    .putAllQuality(quality)
                    .setSeconds(seconds)));
    writer.update(run -> run.clearQuality().putAllQuality(quality));
  }
}
