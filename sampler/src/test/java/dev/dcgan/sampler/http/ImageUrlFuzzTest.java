package dev.dcgan.sampler.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.dcgan.sampler.core.RequestException;
import java.nio.charset.StandardCharsets;

/** Any query is parsed or is the client's fault. */
class ImageUrlFuzzTest {

  private interface Parser {
    ImageQuery parse(String query);
  }

  @FuzzTest
  void query_isParsedOrRefused(byte[] bytes) {
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
