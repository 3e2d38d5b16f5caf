package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.tensorboard.TensorBoardFile;
import dev.dcgan.trainer.train.SampleGrid;
import dev.dcgan.trainer.train.TrainingListener.Epoch;
import dev.dcgan.trainer.train.TrainingListener.Metrics;
import dev.dcgan.trainer.train.TrainingListener.Step;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes losses, scores, samples and quality metrics for TensorBoard. */
final class TensorBoardListener implements SessionListener {

  private final Path folder;
  private final long firstStep;
  private final BestEffort bestEffort;

  // Mutable state
  private @Nullable TensorBoardFile file;

  /** Creates no file yet; TensorBoard discards what earlier files have after the first step. */
  TensorBoardListener(Path folder, long firstStep, BestEffort bestEffort) {
    this.folder = folder;
    this.firstStep = firstStep;
    this.bestEffort = bestEffort;
  }

  @Override
  public void onStep(Step step) {
    if (step.step() % EventListener.STEPS_PER_EVENT == 0) {
      figures("", step.step(), step.metrics());
    }
  }

  @Override
  public void onEpoch(Epoch epoch) {
    figures("_epoch", epoch.step(), epoch.metrics());
  }

  /** The tags of an epoch's means differ from those of single steps by the suffix. */
  private void figures(String suffix, long step, Metrics metrics) {
    write(
        board -> {
          board.scalar("loss/D" + suffix, step, metrics.discriminatorLoss());
          board.scalar("loss/G" + suffix, step, metrics.generatorLoss());
          board.scalar("score/real" + suffix, step, metrics.realScore());
          board.scalar("score/fake" + suffix, step, metrics.fakeScore());
          board.scalar("gradient_norm/D" + suffix, step, metrics.discriminatorGradientNorm());
          board.scalar("gradient_norm/G" + suffix, step, metrics.generatorGradientNorm());
        });
  }

  void quality(long step, Map<String, Double> metrics) {
    write(
        board -> {
          for (Map.Entry<String, Double> metric : metrics.entrySet()) {
            String name = metric.getKey();
            board.scalar(
                "quality/" + name,
                step,
                metric.getValue(),
                name.contains("frechet") ? "Not comparable with Inception FID." : "");
          }
        });
  }

  void samples(long step, SampleGrid.Png grid, double diversity) {
    write(
        board -> {
          board.image("samples", step, grid.png(), grid.width(), grid.height());
          board.scalar("quality/diversity", step, diversity);
        });
  }

  private interface Content {
    void writeTo(TensorBoardFile board) throws IOException;
  }

  private void write(Content content) {
    bestEffort.attempt(
        "tensorboard",
        () -> {
          if (file == null) {
            file = TensorBoardFile.open(folder, firstStep, Clock.systemUTC());
          }
          content.writeTo(file);
        });
  }

  @Override
  public void close() {
    if (file != null) {
      TensorBoardFile open = file;
      bestEffort.attempt("tensorboard", open::close);
    }
  }
}
