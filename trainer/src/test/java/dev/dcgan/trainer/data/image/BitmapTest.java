package dev.dcgan.trainer.data.image;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ImageShape;
import org.junit.jupiter.api.Test;

final class BitmapTest {

  @Test
  void fit_ofTheShapeItself_isTheSamePixels() {
    byte[] pixels = {1, 2, 3, 4, 5, 6};

    assertThat(new Bitmap(2, 1, 3, pixels).fit(new ImageShape(1, 2, 3))).isSameAs(pixels);
  }

  @Test
  void fit_ofAWiderImage_takesTheMiddle() {
    byte[] pixels = {9, 1, 2, 9, 9, 3, 4, 9};

    assertThat(new Bitmap(4, 2, 1, pixels).fit(new ImageShape(2, 2, 1)))
        .containsExactly(1, 2, 3, 4);
  }

  @Test
  void fit_ofAHigherImage_takesTheMiddle() {
    byte[] pixels = {9, 9, 1, 2, 3, 4, 9, 9, 9, 9};

    // Five rows for two: the part starts at row 1 of 0 to 3.
    assertThat(new Bitmap(2, 5, 1, pixels).fit(new ImageShape(2, 2, 1)))
        .containsExactly(1, 2, 3, 4);
  }

  @Test
  void fit_keepsTheProportionsWanted() {
    assertThat(Bitmap.CropBox.of(100, 100, new ImageShape(1, 4, 1)))
        .isEqualTo(new Bitmap.CropBox(0, 37, 100, 25));
    assertThat(Bitmap.CropBox.of(3, 1000, new ImageShape(64, 64, 3)))
        .isEqualTo(new Bitmap.CropBox(0, 498, 3, 3));
  }

  @Test
  void fit_ofGreyToColor_repeatsIt() {
    assertThat(new Bitmap(2, 1, 1, new byte[] {7, -1}).fit(new ImageShape(1, 2, 3)))
        .containsExactly(7, 7, 7, -1, -1, -1);
  }

  @Test
  void fit_ofColorToGrey_isLuma() {
    byte[] redGreenBlueWhite = {-1, 0, 0, 0, -1, 0, 0, 0, -1, -1, -1, -1};

    // 0.299, 0.587 and 0.114 of 255.
    assertThat(new Bitmap(4, 1, 3, redGreenBlueWhite).fit(new ImageShape(1, 4, 1)))
        .containsExactly(76, (byte) 150, 29, (byte) 255);
  }
}
