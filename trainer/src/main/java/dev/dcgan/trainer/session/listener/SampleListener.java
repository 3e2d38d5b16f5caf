package dev.dcgan.trainer.session.listener;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.run.BestEffort;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunWriter;
import dev.dcgan.trainer.train.SampleGrid;
import dev.dcgan.trainer.train.TrainingListener.Snapshot;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Draws the sample grid before training and of each epoch, and measures its diversity. */
final class SampleListener implements SessionListener {

  private final SessionContext context;
  private final RunWriter writer;
  private final BestEffort bestEffort;
  private final TensorBoardListener board;

  SampleListener(
      SessionContext context, RunWriter writer, BestEffort bestEffort, TensorBoardListener board) {
    this.context = context;
    this.writer = writer;
    this.bestEffort = bestEffort;
    this.board = board;
  }

  @Override
  public void onStart(Snapshot snapshot) throws IOException {
    List<byte[]> generated = snapshot.sampleImages();
    var unused = save(0, 0, generated, snapshot.sampleLabels());
  }

  @Override
  public EpochEnd onEpochEnd(EpochEnd end) throws IOException {
    List<byte[]> generated = end.snapshot().sampleImages();
    int[] labels = end.snapshot().sampleLabels();
    SampleGrid.Png grid = save(end.epoch(), end.step(), generated, labels);
    double diversity = context.evaluator().diversity(generated, labels);
    context.metrics().diversity(diversity);
    board.samples(end.step(), grid, diversity);
    return end.withDiversity(diversity);
  }

  private SampleGrid.Png save(int epoch, long step, List<byte[]> generated, int[] labels)
      throws IOException {
    RunDirectory directory = context.record().folder();
    ImageShape shape = context.training().shape();
    SampleGrid.Png grid = SampleGrid.of(shape, generated);
    Path file = directory.samples(epoch);
    String name = file.getFileName().toString();
    boolean written =
        bestEffort.attempt(
            "sample_grid",
            () -> {
              grid.write(file);
              SampleGrid.of(shape, real(generated.size(), labels), generated)
                  .write(directory.realVersusGenerated());
            });
    if (written) {
      writer.event(
          RunEvent.newBuilder()
              .setSamplesSaved(
                  RunEvent.SamplesSaved.newBuilder().setEpoch(epoch).setStep(step).setName(name)));
      writer.update(run -> run.setSamples(name));
    }
    return grid;
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
