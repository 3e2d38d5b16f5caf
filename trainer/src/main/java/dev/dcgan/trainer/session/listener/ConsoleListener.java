package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.run.ProgressEstimator;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Metrics;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Shows progress: a bar for each epoch on a terminal, otherwise a log line every half minute. Both
 * have a log line for each epoch.
 */
final class ConsoleListener implements SessionListener {

  private static final Logger log = LoggerFactory.getLogger(ConsoleListener.class);
  private static final long LINE_EVERY_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final int epochs;
  private final int stepsPerEpoch;
  private final boolean terminal;
  private final ProgressEstimator progress;

  // Mutable state
  private long lastLine = System.nanoTime();
  private @Nullable EpochBar bar;

  ConsoleListener(int epochs, int stepsPerEpoch, ProgressEstimator progress, boolean terminal) {
    this.epochs = epochs;
    this.stepsPerEpoch = stepsPerEpoch;
    this.progress = progress;
    this.terminal = terminal;
  }

  @Override
  public void onStep(Step step) {
    if (terminal) {
      if (bar == null) {
        bar = new EpochBar(step.epoch(), epochs, stepsPerEpoch);
      }
      bar.step(losses(step.metrics()));
    } else if (System.nanoTime() - lastLine > LINE_EVERY_NANOS) {
      lastLine = System.nanoTime();
      log.info(
          "epoch {}/{}, step {}/{}: {}, {} images/s, {} left",
          step.epoch(),
          epochs,
          step.step() - (step.epoch() - 1L) * stepsPerEpoch,
          stepsPerEpoch,
          losses(step.metrics()),
          Math.round(step.images() / step.seconds()),
          progress.left(step.step()));
    }
  }

  @Override
  public void onEpoch(Epoch epoch) {
    close();
    lastLine = System.nanoTime();
    Metrics metrics = epoch.metrics();
    log.info(
        "epoch {}/{}: {}, D(x) {}, D(G(z)) {}, {} images/s, {} left",
        epoch.epoch(),
        epochs,
        losses(metrics),
        "%.3f".formatted(metrics.realScore()),
        "%.3f".formatted(metrics.fakeScore()),
        Math.round(epoch.imagesPerSecond()),
        progress.left(epoch.step()));
  }

  /** Removes the bar from the terminal. */
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }

  private static String losses(Metrics metrics) {
    return "loss D %.3f, G %.3f".formatted(metrics.discriminatorLoss(), metrics.generatorLoss());
  }
}
