package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class DurationConverterTest {

  private final DurationConverter converter = new DurationConverter();

  @Test
  void numbersWithAUnit_areRead() {
    assertThat(converter.convert("250us")).isEqualTo(Duration.ofNanos(250_000));
    assertThat(converter.convert("2ms")).isEqualTo(Duration.ofMillis(2));
    assertThat(converter.convert("5s")).isEqualTo(Duration.ofSeconds(5));
    assertThat(converter.convert("10m")).isEqualTo(Duration.ofMinutes(10));
    assertThat(converter.convert("999999h")).isEqualTo(Duration.ofHours(999_999));
    assertThat(converter.convert("0")).isZero();
    assertThat(converter.convert("0ms")).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "5", "s", "-1s", "1.5s", "2 ms", "1d", "PT1S", "1000000h"})
  void anythingElse_isRefusedWithWhatIsExpected(String value) {
    assertThatThrownBy(() -> converter.convert(value))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageStartingWith("'" + value + "' is not a duration; expected a whole number with");
  }
}
