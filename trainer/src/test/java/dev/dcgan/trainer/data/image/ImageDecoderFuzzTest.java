package dev.dcgan.trainer.data.image;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ImageShape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are an image or are refused. */
public class ImageDecoderFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/image"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void image_isDecodedOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] file) {
    try {
      assertThat(ImageDecoder.decode(file, new ImageShape(16, 16, 3))).isNotNull();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
