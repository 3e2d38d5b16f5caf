package dev.dcgan.trainer.session;

import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Figures;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.util.concurrent.TimeUnit;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How far training is: on a terminal a bar for each epoch, elsewhere a line every half minute;
 * either way a line for each epoch. Used by the training thread alone.
 */
final class ConsoleProgress implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger("train");
  private static final long LINE_EVERY_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final int epochs;
  private final int stepsPerEpoch;
  private final boolean terminal;
  private final ProgressEstimator pace;

  // Mutable state
  private long lastLine = System.nanoTime();
  private @Nullable ProgressBar bar;

  ConsoleProgress(int epochs, int stepsPerEpoch, ProgressEstimator pace, boolean terminal) {
    this.epochs = epochs;
    this.stepsPerEpoch = stepsPerEpoch;
    this.pace = pace;
    this.terminal = terminal;
  }

  void onStep(Step step) {
    if (terminal) {
      bar(step.epoch()).step().setExtraMessage(losses(step.figures()));
    } else if (System.nanoTime() - lastLine > LINE_EVERY_NANOS) {
      lastLine = System.nanoTime();
      log.info(
          "epoch {}/{}, step {}/{}: {}, {} images/s, {} left",
          step.epoch(),
          epochs,
          step.step() - (step.epoch() - 1L) * stepsPerEpoch,
          stepsPerEpoch,
          losses(step.figures()),
          Math.round(step.images() / step.seconds()),
          pace.left(step.step()));
    }
  }

  void onEpoch(Epoch epoch) {
    close();
    lastLine = System.nanoTime();
    Figures figures = epoch.figures();
    log.info(
        "epoch {}/{}: {}, D(x) {}, D(G(z)) {}, {} images/s, {} left",
        epoch.epoch(),
        epochs,
        losses(figures),
        "%.3f".formatted(figures.realScore()),
        "%.3f".formatted(figures.fakeScore()),
        Math.round(epoch.imagesPerSecond()),
        pace.left(epoch.step()));
  }

  /** Takes the bar off the terminal. */
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }

  private ProgressBar bar(int epoch) {
    if (bar == null) {
      bar =
          new ProgressBarBuilder()
              .setTaskName("epoch %d/%d".formatted(epoch, epochs))
              .setInitialMax(stepsPerEpoch)
              .setStyle(ProgressBarStyle.ASCII)
              .setUnit(" steps", 1)
              .setConsumer(new ErrorMessages())
              .clearDisplayOnFinish()
              .build();
    }
    return bar;
  }

  private static String losses(Figures figures) {
    return "loss D %.3f, G %.3f".formatted(figures.discriminatorLoss(), figures.generatorLoss());
  }

  /** Leaves no empty line where the bar was, as the library's own would for each epoch. */
  private static final class ErrorMessages extends ConsoleProgressBarConsumer {

    ErrorMessages() {
      super(System.err);
    }

    @Override
    public void close() {
      System.err.flush();
    }
  }
}
