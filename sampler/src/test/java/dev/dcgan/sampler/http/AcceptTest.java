package dev.dcgan.sampler.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AcceptTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8|true",
        "image/avif,image/webp,*/*;q=0.8|true",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8|true",
        "*/*|true",
        "text/html, image/gif, image/jpeg, *; q=.2|true",
        "*;q=0|false",
        "IMAGE/PNG|true",
        "image/*;q=0.001|true",
        "image/png;q=1.000, text/html|true",
        "text/html , image/png ; q=0.5|true",
        "'  '|true",
        "image/webp|false",
        "text/html,application/json|false",
        "image/png;q=0|false",
        "image/png;q=0.000,*/*|false",
        "image/*;q=0,*/*;q=1|false",
        "image/*;q=0,image/png|true",
      })
  void ranges_haveWeights(String header, boolean allowed) {
    assertThat(Accept.allows(List.of(header), "image/png")).isEqualTo(allowed);
  }

  @Test
  void severalHeaders_areOneList() {
    assertThat(Accept.allows(List.of("text/html", "image/png"), "image/png")).isTrue();
    assertThat(Accept.allows(List.of(), "application/octet-stream")).isTrue();
  }
}
