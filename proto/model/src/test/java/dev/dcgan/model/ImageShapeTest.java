package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImageShapeTest {

  @Test
  void toProto_andBack_isTheSame() {
    ImageShape shape = new ImageShape(28, 32, 3);

    assertThat(ImageShape.fromProto(shape.toProto())).isEqualTo(shape);
    assertThat(shape.values()).isEqualTo(28 * 32 * 3);
  }

  @ParameterizedTest
  @CsvSource({"0, 1, 1", "1, 0, 1", "4097, 1, 1", "1, 4097, 1", "-1, 1, 1", "1, 1, 0", "1, 1, 4"})
  void outsideItsRanges_isRefused(int height, int width, int channels) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new ImageShape(height, width, channels))
        .withMessageContaining("expected 1");
  }
}
