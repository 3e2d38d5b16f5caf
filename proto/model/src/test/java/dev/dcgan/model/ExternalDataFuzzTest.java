package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes have external data, which is refused in one short line, or have none. */
public class ExternalDataFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/external-data"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void model_isRefusedOrNot(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] model) throws IOException {
    try {
      ExternalData.refuse(Path.of("model.onnx"), new ByteArrayInputStream(model));
    } catch (InvalidModelException e) {
      assertThat(e.getMessage())
          .startsWith("model.onnx ")
          .doesNotContain("\n")
          .hasSizeLessThan(500);
    }
  }
}
