package dev.dcgan.trainer.session.listener;

import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.config.PublishPolicy;
import dev.dcgan.trainer.eval.QualityReport;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.trainer.train.NonFiniteException;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Evaluates the generator, and adds the quality metrics to the epoch's checkpoint. */
final class EvaluationListener implements SessionListener {

  private static final Logger log = LoggerFactory.getLogger(EvaluationListener.class);

  private final SessionContext context;
  private final RunWriter writer;
  private final BestEffort bestEffort;
  private final TensorBoardListener board;

  // Mutable state
  private @Nullable IOException failure; // Of the latest evaluation.

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
    Optional<QualityReport> measured;
    try {
      measured =
          context
              .stop()
              .interruptibly(
                  () ->
                      context
                          .evaluator()
                          .measure(
                              end.snapshot()::pixels,
                              latentSize,
                              end.checkpoint().dataset().classes()));
      failure = null;
    } catch (InterruptedIOException | NonFiniteException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      if (NativeFailureException.find(e).isPresent()) {
        throw e;
      }
      warn(end, e);
      return publishesBest() ? end.incomplete() : end;
    }
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

  /** Without any evaluation there is no best model to publish. */
  @Override
  public void onTrained() throws IOException {
    if (failure != null && publishesBest() && writer.run().getBestCheckpoint().isEmpty()) {
      throw failure;
    }
  }

  private boolean publishesBest() {
    return context.config().publish().kind() == PublishPolicy.Kind.BEST;
  }

  private void warn(EpochEnd end, Exception e) {
    String message = "cannot evaluate epoch %d: %s".formatted(end.epoch(), reason(e));
    log.warn("{}; training continues, and its model has no quality metrics", message);
    log.debug("the evaluation failed", e);
    failure = new IOException(message, e);
    writer.event(
        RunEvent.newBuilder()
            .setWarning(
                RunEvent.Warning.newBuilder()
                    .setStep(end.step())
                    .setKind("evaluation_failed")
                    .setMessage(message)));
  }

  private static String reason(Exception e) {
    return e instanceof IOException failed ? ErrorMessages.oneLine(failed) : e.toString();
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
