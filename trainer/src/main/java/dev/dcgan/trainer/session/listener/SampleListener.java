package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.train.SampleGrid;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Draws the sample grid of each epoch and measures its diversity. */
final class SampleListener implements SessionListener {

  private final SessionContext context;
  private final BestEffort bestEffort;
  private final TensorBoardListener board;

  SampleListener(SessionContext context, BestEffort bestEffort, TensorBoardListener board) {
    this.context = context;
    this.bestEffort = bestEffort;
    this.board = board;
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) throws IOException {
    ImageDataset training = context.training();
    RunDirectory directory = context.record().folder();
    List<byte[]> generated = end.snapshot().sampleImages();
    SampleGrid.Png grid = SampleGrid.of(training.shape(), generated);
    bestEffort.attempt(
        "sample_grid",
        () -> {
          grid.write(directory.samples().resolve("epoch-%03d.png".formatted(end.epoch())));
          SampleGrid.of(training.shape(), real(generated.size()), generated)
              .write(directory.realVersusGenerated());
        });
    double diversity = context.evaluator().diversity(generated);
    context.metrics().diversity(diversity);
    board.samples(end.step(), grid, diversity);
    return end.withDiversity(diversity);
  }

  private List<byte[]> real(int count) throws IOException {
    ImageDataset training = context.training();
    List<byte[]> real = new ArrayList<>();
    for (int i = 0; i < Math.min(count, training.size()); i++) {
      byte[] image = new byte[training.shape().values()];
      training.copyPixels(i, image, 0);
      real.add(image);
    }
    return real;
  }
}
