package dev.dcgan.sampler.export;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are the manifest of an export or are refused in one line. */
public class ExportManifestFuzzTest {

  private static final Path FILE = Path.of("export.json");

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/export"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void manifest_isReadOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] json) {
    try {
      assertThat(ExportFolder.parse(FILE, json).getFormatVersion())
          .isEqualTo(ExportFolder.FORMAT_VERSION);
    } catch (IOException e) {
      assertThat(e.getMessage()).startsWith("cannot read export.json: ").doesNotContain("\n");
    }
  }
}
