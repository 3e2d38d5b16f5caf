package dev.dcgan.server.access;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import javax.security.auth.x500.X500Principal;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are parsed or refused, and never admit a caller without a credential. */
public class CredentialsFuzzTest {

  private static final Path FILE = Path.of("tokens");
  private static final X500Principal STRANGER = new X500Principal("CN=stranger, O=nowhere, C=XX");

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/tokens"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void file_isReadOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] file) {
    try {
      Credentials credentials = Credentials.parse(FILE, file);
      assertThat(credentials.byToken("")).isEmpty();
      // A token is not its own hash.
      new String(file, StandardCharsets.UTF_8)
          .lines()
          .limit(8)
          .forEach(line -> assertThat(credentials.byToken(line)).isEmpty());
      assertThat(credentials.bySubject(STRANGER)).isEmpty();
    } catch (IOException e) {
      assertThat(e.getMessage()).startsWith("tokens").doesNotContain("\n");
    }
  }
}
