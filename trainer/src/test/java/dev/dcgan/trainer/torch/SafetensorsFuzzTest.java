package dev.dcgan.trainer.torch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a checkpoint or are refused. */
public class SafetensorsFuzzTest {

  private static final SafetensorsFile FORMAT = new SafetensorsFile("checkpoint", 1);

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/checkpoint"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void checkpoint_isReadOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    Path file = Files.createTempFile("fuzz", ".safetensors");
    try {
      Files.write(file, bytes);
      assertThat(FORMAT.read(file)).isNotNull();
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotNull();
    } finally {
      Files.delete(file);
    }
  }
}
