package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class PixelsTest {

  private static final ImageShape GREY = new ImageShape(1, 1, 1);

  @Test
  void of_putsChannelsLast_imageByImage() {
    float[] images = new float[2 * 2 * 3]; // two of 1 x 2 pixels in colour
    for (int i = 0; i < images.length; i++) {
      images[i] = i / 127.5f - 1;
    }

    assertThat(Pixels.of(images, new ImageShape(1, 2, 3)))
        .containsExactly(0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11);
  }

  @Test
  void of_mapsTheEnds_andClampsBeyondThem() {
    assertThat(Pixels.of(new float[] {-1, 1, -1.5f, 3}, GREY))
        .containsExactly(0, (byte) 255, 0, (byte) 255);
  }

  @Test
  void of_roundsHalvesToEven() {
    assertThat(Pixels.of(new float[] {0, 1 / 127.5f}, GREY))
        .containsExactly((byte) 128, (byte) 128);
  }
}
