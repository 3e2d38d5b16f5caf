package dev.dcgan.trainer.session;

import dev.dcgan.trainer.tensorboard.TensorBoardFile;
import dev.dcgan.trainer.train.SampleGrid;
import dev.dcgan.trainer.train.TrainingListener.Metrics;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A run as TensorBoard shows it. For the training thread. */
final class TensorBoardListener implements AutoCloseable {

  private final Path folder;
  private final long firstStep;
  private final BestEffort attempts;

  // Mutable state
  private @Nullable TensorBoardFile file;

  /**
   * Nothing is written before there is something to show.
   *
   * @param firstStep what earlier files say of later steps is void
   */
  TensorBoardListener(Path folder, long firstStep, BestEffort attempts) {
    this.folder = folder;
    this.firstStep = firstStep;
    this.attempts = attempts;
  }

  /** Losses, scores and gradients, of a {@code "step"} or of an {@code "epoch"}. */
  void figures(String of, long step, Metrics figures) {
    write(
        board -> {
          board.scalar("loss/discriminator " + of, step, figures.discriminatorLoss());
          board.scalar("loss/generator " + of, step, figures.generatorLoss());
          board.scalar("score/real " + of, step, figures.realScore());
          board.scalar("score/fake " + of, step, figures.fakeScore());
          board.scalar("gradient/discriminator " + of, step, figures.discriminatorGradientNorm());
          board.scalar("gradient/generator " + of, step, figures.generatorGradientNorm());
        });
  }

  void quality(long step, Map<String, Double> figures) {
    write(
        board -> {
          for (Map.Entry<String, Double> figure : figures.entrySet()) {
            board.scalar("quality/" + figure.getKey(), step, figure.getValue());
          }
        });
  }

  void scalar(String tag, long step, double value) {
    write(board -> board.scalar(tag, step, value));
  }

  void sheet(long step, SampleGrid.Png sheet) {
    write(board -> board.image("samples", step, sheet.png(), sheet.width(), sheet.height()));
  }

  private interface Show {
    void on(TensorBoardFile board) throws IOException;
  }

  private void write(Show show) {
    attempts.attempt(
        "TensorBoard's file",
        () -> {
          if (file == null) {
            file = TensorBoardFile.open(folder, firstStep, Clock.systemUTC());
          }
          show.on(file);
        });
  }

  @Override
  public void close() {
    if (file != null) {
      TensorBoardFile open = file;
      attempts.attempt("TensorBoard's file", open::close);
    }
  }
}
