package dev.dcgan.trainer.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import java.io.IOException;
import org.junit.jupiter.api.Test;

final class ImageDatasetTest {

  /** Two images of 1 x 2 pixels in color, 12 bytes 0, 20, 40 .. 220. */
  private static final class Colors implements ImageDataset {

    @Override
    public String name() {
      return "colors";
    }

    @Override
    public ImageShape shape() {
      return new ImageShape(1, 2, 3);
    }

    @Override
    public int size() {
      return 2;
    }

    @Override
    public void copyPixels(int index, byte[] target, int offset) {
      for (int i = 0; i < 6; i++) {
        target[offset + i] = (byte) (20 * (6 * index + i));
      }
    }
  }

  @Test
  void copyNormalized_putsChannelsFirst_inMinusOneToOne() throws IOException {
    float[] target = new float[8];

    new Colors().copyNormalized(1, target, 1);

    // Pixels (120, 140, 160) and (180, 200, 220): red of both, green of both, blue of both.
    assertThat(target)
        .containsExactly(0, law(120), law(180), law(140), law(200), law(160), law(220), 0);
  }

  @Test
  void copyNormalized_mapsBlackAndWhiteToTheEnds() throws IOException {
    ImageDataset digits = new DigitsDataset(1, 5);
    float[] target = new float[28 * 28];
    digits.copyNormalized(0, target, 0);

    assertThat(target).contains(-1f).contains(1f);
    for (float value : target) {
      assertThat(value).isBetween(-1f, 1f);
    }
  }

  @Test
  void sha256_isOfAllPixelsInOrder() throws IOException {
    // printf '\x00\x14\x28\x3c\x50\x64\x78\x8c\xa0\xb4\xc8\xdc' | sha256sum
    assertThat(new Colors().sha256())
        .isEqualTo("90f5add1f9a51f0ab1d3f737c27df286cb1ad225b83c382a7c5570f65ecd4d97");
  }

  private static float law(int x) {
    return (float) ((x / 255.0 - 0.5) / 0.5);
  }
}
