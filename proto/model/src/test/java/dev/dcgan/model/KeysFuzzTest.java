package dev.dcgan.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are keys or are refused. */
public class KeysFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/keys"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void keys_areReadOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] pem) throws IOException {
    Path file = Files.createTempFile("fuzz", ".pem");
    try {
      Files.write(file, pem);
      TrustedKeys keys = TrustedKeys.read(file);
      keys.verify(pem, file);
    } catch (IOException e) {
      // Refused.
    } finally {
      Files.delete(file);
    }
  }
}
