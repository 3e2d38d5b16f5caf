package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a manifest or are refused in one line. */
public class ManifestFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/manifest"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void manifest_isValidOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] json) throws IOException {
    Path file = Path.of("manifest.json");
    try {
      ModelManifest manifest = ModelBundle.parseManifest(file, json);
      ModelBundle.check(file, manifest);
    } catch (InvalidModelException e) {
      assertThat(e.getMessage()).doesNotContain("\n").hasSizeLessThan(100_000);
    }
  }
}
