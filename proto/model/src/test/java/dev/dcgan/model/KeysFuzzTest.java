package dev.dcgan.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are keys or are refused. */
public class KeysFuzzTest {

  private static final Path FILE = Path.of("keys.pem");

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/keys"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void keys_areReadOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] pem) throws Exception {
    attempt(pem, () -> PemFile.parse(FILE, pem, TrustedKeys.PUBLIC));
    attempt(pem, () -> List.of(pem)); // what Base64 hides from the fuzzer
  }

  private static void attempt(byte[] manifest, Callable<List<byte[]>> blocks) throws Exception {
    try {
      TrustedKeys.of(FILE, blocks.call()).verify(manifest, FILE, Arrays.copyOf(manifest, 64));
    } catch (IOException e) {
      assertThat(e.getMessage()).startsWith("keys.pem").doesNotContain("\n");
    }
  }
}
