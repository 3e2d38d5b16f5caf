package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DiversityTest {

  private static final int[] ALL = {};

  @Test
  void relative_ofOtherImagesOfTheData_isAboutOne() throws IOException {
    Diversity diversity = new Diversity(new DigitsDataset(500, 1));

    assertThat(diversity.relative(images(new DigitsDataset(25, 2)), ALL)).isBetween(0.9, 1.1);
  }

  @Test
  void relative_ofOneImageAgainAndAgain_isZero() throws IOException {
    Diversity diversity = new Diversity(new DigitsDataset(500, 1));
    byte[] image = images(new DigitsDataset(1, 2)).get(0);

    assertThat(diversity.relative(Collections.nCopies(25, image), ALL)).isZero();
  }

  @Test
  void relative_isTheRatioOfMeanDistances() throws IOException {
    // The data's two images are 255 sqrt(4) apart; the three here 3, 4 and 5 levels.
    Diversity diversity = new Diversity(new BlackAndWhite(2));
    List<byte[]> images =
        List.of(new byte[] {0, 0, 0, 0}, new byte[] {3, 0, 0, 0}, new byte[] {0, 4, 0, 0});

    assertThat(diversity.relative(images, ALL)).isCloseTo(4 / 510.0, within(1e-12));
  }

  @Test
  void relative_withoutDiversityInTheData_isOne() throws IOException {
    Diversity diversity = new Diversity(new BlackAndWhite(1));

    assertThat(diversity.relative(List.of(new byte[4], new byte[4]), ALL)).isEqualTo(1);
  }

  @Test
  void relative_withClasses_isThatOfTheLowest() throws IOException {
    DigitsDataset real = new DigitsDataset(500, 1);
    Diversity diversity = new Diversity(real);
    List<byte[]> images = new ArrayList<>(images(new DigitsDataset(100, 2)));
    int[] labels = IntStream.range(0, 100).map(new DigitsDataset(100, 2)::label).toArray();

    assertThat(diversity.relative(images, labels)).isBetween(0.6, 1.0);

    byte[] seven = images.get(IntStream.of(labels).boxed().toList().indexOf(7));
    for (int i = 0; i < labels.length; i++) {
      if (labels[i] == 7) {
        images.set(i, seven);
      }
    }
    assertThat(diversity.relative(images, labels)).isZero();
    assertThat(diversity.relative(images, ALL)).isGreaterThan(0.9);
  }

  @Test
  void relative_ofOneImage_isRefused() throws IOException {
    Diversity diversity = new Diversity(new BlackAndWhite(2));

    assertThatThrownBy(() -> diversity.relative(List.of(new byte[4]), ALL))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("at least 2");
  }

  private static List<byte[]> images(DigitsDataset data) {
    return IntStream.range(0, data.size())
        .mapToObj(
            i -> {
              byte[] image = new byte[data.shape().values()];
              data.copyPixels(i, image, 0);
              return image;
            })
        .toList();
  }

  /** Even ones black, odd ones white. */
  private record BlackAndWhite(int size) implements ImageDataset {

    @Override
    public String name() {
      return "black and white";
    }

    @Override
    public ImageShape shape() {
      return new ImageShape(2, 2, 1);
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) {
      for (int i = 0; i < 4; i++) {
        target[offset + i] = (byte) (index % 2 == 0 ? 0 : 255);
      }
    }
  }
}
