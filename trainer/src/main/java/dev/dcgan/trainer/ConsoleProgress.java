package dev.dcgan.trainer;

import dev.dcgan.trainer.train.TrainingObserver.Epoch;
import dev.dcgan.trainer.train.TrainingObserver.Figures;
import dev.dcgan.trainer.train.TrainingObserver.Step;
import java.time.Duration;
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
  private final long start = System.nanoTime();

  // Mutable state
  private long lastLine = start;
  private @Nullable ProgressBar bar;

  ConsoleProgress(int epochs, int stepsPerEpoch, boolean terminal) {
    this.epochs = epochs;
    this.stepsPerEpoch = stepsPerEpoch;
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
          left(step.step()));
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
        left((long) epoch.epoch() * stepsPerEpoch));
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
              .setConsumer(new OneLine())
              .clearDisplayOnFinish()
              .build();
    }
    return bar;
  }

  private static String losses(Figures figures) {
    return "loss D %.3f, G %.3f".formatted(figures.discriminatorLoss(), figures.generatorLoss());
  }

  /** At the pace so far. */
  private String left(long step) {
    long total = (long) epochs * stepsPerEpoch;
    long seconds = Math.round((System.nanoTime() - start) / 1e9 / step * (total - step));
    Duration left = Duration.ofSeconds(seconds);
    return left.toHours() > 0
        ? "%d h %02d min".formatted(left.toHours(), left.toMinutesPart())
        : "%d min %02d s".formatted(left.toMinutes(), left.toSecondsPart());
  }

  /** Leaves no empty line where the bar was, as the library's own would for each epoch. */
  private static final class OneLine extends ConsoleProgressBarConsumer {

    OneLine() {
      super(System.err);
    }

    @Override
    public void close() {
      System.err.flush();
    }
  }
}
