package dev.dcgan.trainer.session.listener;

import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.train.SampleGrid;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

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
    int[] labels = end.snapshot().sampleLabels();
    SampleGrid.Png grid = SampleGrid.of(training.shape(), generated);
    bestEffort.attempt(
        "sample_grid",
        () -> {
          grid.write(directory.samples().resolve("epoch-%03d.png".formatted(end.epoch())));
          SampleGrid.of(training.shape(), real(generated.size(), labels), generated)
              .write(directory.realVersusGenerated());
        });
    double diversity = context.evaluator().diversity(generated, labels);
    context.metrics().diversity(diversity);
    board.samples(end.step(), grid, diversity);
    return end.withDiversity(diversity);
  }

  /** The first training images, or with classes the first of each label. */
  private List<byte[]> real(int count, int[] labels) throws IOException {
    ImageDataset training = context.training();
    int[] indices =
        labels.length == 0
            ? IntStream.range(0, Math.min(count, training.size())).toArray()
            : ImageLabels.of(training).first(labels);
    List<byte[]> real = new ArrayList<>();
    for (int index : indices) {
      byte[] image = new byte[training.shape().values()];
      training.copyPixels(index, image, 0);
      real.add(image);
    }
    return real;
  }
}
