package dev.dcgan.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.source.IgnoredFiles;
import dev.dcgan.trainer.data.source.ImageSource;
import java.io.IOException;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class DatasetSummaryTest {

  private static final ImageShape SHAPE = new ImageShape(1, 1, 1);

  @Test
  void line_hasTheClassesWithTheirCounts_andTheSplit() throws IOException {
    ImageDataset training = images(3, 0, 0, 1);
    ImageDataset heldOut = images(3, 1, -1);

    assertThat(line(new DatasetSplit(training, heldOut, true), "folder Test", 0, "a note"))
        .isEqualTo(
            "images=5 classes=3 (class-0 2, class-1 2, class-2 0; no training images of class-2)"
                + " train=3 held-out=2 (from folder Test) colors=grey unreadable=1 ignored=0"
                + " note: a note");
  }

  @Test
  void line_withoutLabels_orASplitOfItsOwn() throws IOException {
    ImageDataset training = images(0, -1, -1);

    assertThat(line(new DatasetSplit(training, images(0, -1), true), "", 10))
        .contains("images=3 classes=0 (no labels) train=2 held-out=1 (every 10th image)");
    assertThat(line(new DatasetSplit(training, training, false), "", 10))
        .contains("images=2 classes=0 (no labels) train=2 held-out=0 colors");
  }

  @Test
  void line_ofManyClasses_isShortened() throws IOException {
    int[] labels = new int[101];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = i % 100;
    }
    ImageDataset training = images(100, labels);

    assertThat(line(new DatasetSplit(training, training, false), "", 0))
        .contains("classes=100 (class-0 2, class-1 1,", "and 88 more; 1 to 2 images each")
        .doesNotContain("class-12 ");
  }

  private static String line(
      DatasetSplit images, String heldOutFrom, int heldOutEvery, String... notes) {
    FoundDataset found =
        new FoundDataset(
            "pets",
            new Source(images.training().classes()),
            null,
            heldOutFrom,
            new IgnoredFiles(),
            List.of(notes));
    return DatasetSummary.line(found, images, 1, 0, "grey", heldOutEvery);
  }

  private static ImageDataset images(int classes, int... labels) throws IOException {
    try (StoredDataset.Writer writer = new StoredDataset.Writer(SHAPE, null)) {
      for (int label : labels) {
        writer.add(new byte[1], label);
      }
      return writer.finish(
          "pets", IntStream.range(0, classes).mapToObj(Integer::toString).toList());
    }
  }

  private record Source(int classes) implements ImageSource {

    @Override
    public int size() {
      return 1;
    }

    @Override
    public String className(int label) {
      return "class-" + label;
    }

    @Override
    public Encoded next() {
      throw new UnsupportedOperationException();
    }

    @Override
    public void close() {}
  }
}
