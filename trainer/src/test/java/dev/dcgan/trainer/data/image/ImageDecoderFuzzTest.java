package dev.dcgan.trainer.data.image;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.dcgan.model.ImageShape;
import java.io.IOException;

/** Any bytes are an image or are refused. */
class ImageDecoderFuzzTest {

  @FuzzTest
  void image_isDecodedOrRefused(byte[] file) {
    try {
      assertThat(ImageDecoder.decode(file, new ImageShape(16, 16, 3))).isNotNull();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
