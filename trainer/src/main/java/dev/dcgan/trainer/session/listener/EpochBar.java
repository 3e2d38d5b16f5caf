package dev.dcgan.trainer.session.listener;

import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** The progress bar of an epoch on a terminal. */
final class EpochBar implements AutoCloseable {

  private final ProgressBar bar;

  EpochBar(int epoch, int epochs, int steps) {
    bar =
        new ProgressBarBuilder()
            .setTaskName("epoch %d/%d".formatted(epoch, epochs))
            .setInitialMax(steps)
            .setStyle(ProgressBarStyle.ASCII)
            .setUnit(" steps", 1)
            .setConsumer(new Consumer())
            .clearDisplayOnFinish()
            .build();
  }

  /** Advances by a step, with a text beside the bar. */
  void step(String text) {
    bar.step().setExtraMessage(text);
  }

  /** Removes the bar from the terminal. */
  @Override
  public void close() {
    bar.close();
  }

  /** Leaves no empty line in place of the bar, as the library's own consumer does. */
  private static final class Consumer extends ConsoleProgressBarConsumer {

    Consumer() {
      super(System.err);
    }

    @Override
    public void close() {
      System.err.flush();
    }
  }
}
