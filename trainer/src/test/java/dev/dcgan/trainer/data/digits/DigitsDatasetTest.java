package dev.dcgan.trainer.data.digits;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.trainer.data.TestData;
import dev.dcgan.trainer.data.source.IdxDataset;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class DigitsDatasetTest {

  private static final int REAL = 3000;

  @Test
  void digits_ofOneSeed_areTheSameBytesEveryTime() throws IOException {
    assertThat(new DigitsDataset(200, 7).sha256()).isEqualTo(new DigitsDataset(200, 7).sha256());
  }

  @Test
  void digit_dependsOnSeedAndIndexAlone() {
    DigitsDataset few = new DigitsDataset(3, 7);
    DigitsDataset many = new DigitsDataset(300, 7);

    for (int i = 0; i < few.size(); i++) {
      assertThat(pixels(few, i)).isEqualTo(pixels(many, i));
    }
    assertThat(pixels(few, 0)).isNotEqualTo(pixels(new DigitsDataset(1, 8), 0));
  }

  @Test
  void digits_fromALaterOne_areTheSameImages() {
    DigitsDataset all = new DigitsDataset(20, 7);
    DigitsDataset later = new DigitsDataset(13, 7, 7);

    for (int i = 0; i < later.size(); i++) {
      assertThat(pixels(later, i)).isEqualTo(pixels(all, 13 + i));
      assertThat(later.label(i)).isEqualTo(all.label(13 + i));
    }
  }

  @Test
  void digits_areAllDifferent() {
    DigitsDataset digits = new DigitsDataset(1000, 1);
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < digits.size(); i++) {
      seen.add(Arrays.toString(pixels(digits, i)));
    }

    assertThat(seen).hasSize(1000);
  }

  @Test
  void labels_areBalanced() {
    DigitsDataset digits = new DigitsDataset(200, 1);

    for (int digit = 0; digit < 10; digit++) {
      int wanted = digit;
      assertThat(IntStream.range(0, 200).filter(i -> digits.label(i) == wanted).count())
          .isEqualTo(20);
    }
  }

  @Test
  void digits_haveMnistsInkPlaceAndMargin() {
    DigitsDataset digits = new DigitsDataset(2000, 3);
    double ink = 0;
    double x = 0;
    double y = 0;
    for (int i = 0; i < digits.size(); i++) {
      byte[] pixels = pixels(digits, i);
      for (int p = 0; p < pixels.length; p++) {
        int value = pixels[p] & 0xFF;
        ink += value;
        x += value * (p % 28);
        y += value * (p / 28);
        boolean edge = p % 28 == 0 || p % 28 == 27 || p / 28 == 0 || p / 28 == 27;
        assertThat(edge && value != 0).as("ink on the edge of digit %d", i).isFalse();
      }
    }

    // MNIST: 33.4, (14.0, 14.0).
    assertThat(ink / digits.size() / 784).isCloseTo(33.4, within(3.0));
    assertThat(x / ink).isCloseTo(14, within(0.3));
    assertThat(y / ink).isCloseTo(14, within(0.3));
  }

  @Test
  void digits_resembleTheRealOnesOfTheirLabel() throws IOException {
    IdxDataset mnist = IdxDataset.open(TestData.mnist());
    byte[][] real = new byte[REAL][28 * 28];
    for (int i = 0; i < REAL; i++) {
      mnist.copyPixels(i, real[i], 0);
    }
    DigitsDataset digits = new DigitsDataset(500, 11);
    int right = 0;
    for (int i = 0; i < digits.size(); i++) {
      if (mnist.label(nearest(real, pixels(digits, i))) == digits.label(i)) {
        right++;
      }
    }

    assertThat(right).isGreaterThan(450);
  }

  /** Which of the images has the least squared difference. */
  private static int nearest(byte[][] images, byte[] image) {
    int nearest = -1;
    long least = Long.MAX_VALUE;
    for (int i = 0; i < images.length; i++) {
      int sum = 0;
      for (int p = 0; p < image.length; p++) {
        int difference = (images[i][p] & 0xFF) - (image[p] & 0xFF);
        sum += difference * difference;
      }
      if (sum < least) {
        least = sum;
        nearest = i;
      }
    }
    return nearest;
  }

  @Test
  void digits_onAnInterruptedThread_areNotDrawn() {
    Thread.currentThread().interrupt();
    try {
      assertThatIOException()
          .isThrownBy(() -> DigitsDataset.split(2, 1))
          .isInstanceOf(InterruptedIOException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void digits_ofNone_areRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new DigitsDataset(0, 1))
        .withMessage("0 digits; expected at least 1");
  }

  private static byte[] pixels(DigitsDataset digits, int index) {
    byte[] pixels = new byte[digits.shape().values()];
    digits.copyPixels(index, pixels, 0);
    return pixels;
  }
}
