package dev.dcgan.trainer.data.image;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ResamplingTest {

  @Test
  void enlarging_interpolatesBetweenPixelCenters() {
    // Twice as wide: new centers at 0.25, 0.75, 1.25, 1.75 old pixels; the ends have one neighbor.
    assertThat(Resampling.resize(line(0, 200), 4, 1).pixels())
        .containsExactly(0, 50, (byte) 150, (byte) 200);
  }

  @Test
  void reducing_weighsEveryPixelByATriangle() {
    // Halved: each new pixel from the old ones within 2 of its center, 1 : 3 : 3 : 1; at the ends
    // from what there is, 3 : 3 : 1.
    assertThat(Resampling.resize(line(70, 8, 0, 0, 16, 80), 3, 1).pixels())
        .containsExactly(234 / 7, 24 / 8, 288 / 7);
  }

  @ParameterizedTest
  @CsvSource({"32, 64", "64, 28", "100, 7", "5, 5", "1, 9", "9, 1"})
  void flatImages_stayFlat_whateverTheSize(int from, int to) {
    byte[] pixels = new byte[from * from * 3];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i % 3 == 0 ? 255 : i % 3 * 50);
    }

    byte[] resized = Resampling.resize(new Bitmap(from, from, 3, pixels), to, to).pixels();

    assertThat(resized).hasSize(to * to * 3);
    for (int i = 0; i < resized.length; i++) {
      assertThat(resized[i]).isEqualTo((byte) (i % 3 == 0 ? 255 : i % 3 * 50));
    }
  }

  @Test
  void columns_areTreatedAsRowsAre() {
    byte[] values = {3, 100, 7, 50, 90, 20, 77};

    byte[] wide = Resampling.resize(new Bitmap(7, 1, 1, values), 3, 1).pixels();
    byte[] high = Resampling.resize(new Bitmap(1, 7, 1, values), 1, 3).pixels();

    assertThat(high).isEqualTo(wide);
  }

  private static Bitmap line(int... values) {
    byte[] pixels = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      pixels[i] = (byte) values[i];
    }
    return new Bitmap(values.length, 1, 1, pixels);
  }
}
