package dev.dcgan.sampler.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.core.RequestException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any query is parsed or is the client's fault. */
public class ImageUrlFuzzTest {

  private interface Parser {
    ImageQuery parse(String query);
  }

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/image-url"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void query_isParsedOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    String query = new String(bytes, StandardCharsets.ISO_8859_1);
    attempt(ImageUrl::query, query);
    attempt(DerivedUrl::interpolate, query);
    attempt(DerivedUrl::arithmetic, query);
  }

  private static void attempt(Parser parser, String query) {
    try {
      assertThat(parser.parse(query).model()).isNotNull();
    } catch (RequestException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
