package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class SizeConverterTest {

  private final SizeConverter converter = new SizeConverter();

  @Test
  void sizes_areBinary() {
    assertThat(converter.convert("3KiB")).isEqualTo(3L << 10);
    assertThat(converter.convert("500MiB")).isEqualTo(500L << 20);
    assertThat(converter.convert("20GiB")).isEqualTo(20L << 30);
    assertThat(converter.convert("2TiB")).isEqualTo(2L << 40);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "20", "20GB", "1.5GiB", "-1GiB", "GiB", "1234567GiB"})
  void otherForms_areRefused(String text) {
    assertThatThrownBy(() -> converter.convert(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("'" + text + "'");
  }
}
