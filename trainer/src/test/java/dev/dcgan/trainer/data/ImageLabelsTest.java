package dev.dcgan.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.model.ImageShape;
import dev.dcgan.server.FinalFailureException;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

class ImageLabelsTest {

  private static final ImageShape SHAPE = new ImageShape(1, 1, 1);
  private static final List<String> PETS = List.of("cat", "dog", "emu", "fox");

  @Test
  void of_countsTheClasses_andLeavesOutEmptyOnes() throws IOException {
    ImageLabels found = ImageLabels.of(images(PETS, 3, 0, 2, 3, 3));

    assertThat(found.classes()).hasToString("cat (0), emu (1), fox (2)");
    assertThat(found.classes().images(0)).isEqualTo(1);
    assertThat(found.classes().images(2)).isEqualTo(3);
    assertThat(found.labels()).containsExactly(2, 0, 1, 2, 2);
  }

  @Test
  void of_imagesWithoutTwoClasses_isRefused() throws IOException {
    ImageDataset unlabelled = images(List.of(), 0, 0);
    ImageDataset alike = images(PETS, 1, 1);

    assertThatIOException()
        .isThrownBy(() -> ImageLabels.of(unlabelled))
        .isInstanceOf(FinalFailureException.class)
        .withMessageContainingAll("--conditional on pets", "it has no labels", "leave out");
    assertThatIOException()
        .isThrownBy(() -> ImageLabels.of(alike))
        .withMessageContaining("it has images of one class, dog");
  }

  @Test
  void first_takesEachImageOnce_whileThereAreMore() throws IOException {
    ImageLabels found = ImageLabels.of(images(PETS, 0, 1, 1, 0, 1));

    assertThat(found.first(new int[] {0, 0, 0, 1, 1})).containsExactly(0, 3, 0, 1, 2);
  }

  private static ImageDataset images(List<String> classes, int... labels) throws IOException {
    try (StoredDataset.Writer writer = new StoredDataset.Writer(SHAPE, null)) {
      for (int label : labels) {
        writer.add(new byte[1], label);
      }
      return writer.finish("pets", classes);
    }
  }
}
