package dev.dcgan.latent;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LabelsTest {

  /** The values of the README; an independent program in Python gave the same. */
  @ParameterizedTest
  @CsvSource({
    "0, '2, 1, 1, 2, 0, 0, 2, 2, 1, 2'",
    "18446744073709551615, '1, 1, 2, 2, 2, 0, 2, 2, 1, 2'",
  })
  void draw_givesTheGoldenVectors(String seed, String labels) {
    assertThat(labels(Long.parseUnsignedLong(seed), 1, 3, 6)).isEqualTo(labels);
  }

  @Test
  void draw_isExactWithHugeCounts() {
    assertThat(labels(7, 1L << 61, 3L << 61, 7L << 60)).isEqualTo("1, 0, 1, 0, 1, 2, 2, 1, 1, 1");
  }

  @Test
  void draw_followsTheCounts() {
    int[] drawn = new int[3];
    for (int i = 0; i < 60_000; i++) {
      drawn[Labels.draw(5, i, new long[] {1, 3, 6})]++;
    }

    assertThat(drawn[0]).isBetween(9_600, 10_400);
    assertThat(drawn[1]).isBetween(19_500, 20_500);
    assertThat(drawn[2]).isBetween(29_500, 30_500);
  }

  @Test
  void mixture_hasItsPartsInMixedRadix() {
    long mixture = Labels.mixture(7, 9, 12_345, 10);

    assertThat(mixture % 10).isEqualTo(7);
    assertThat(mixture / 10 % 10).isEqualTo(9);
    assertThat(mixture / 100).isEqualTo(12_345);
  }

  @Test
  void mixture_atItsEndsIsTheClass() {
    assertThat(Labels.mixture(7, 9, 0, 10)).isEqualTo(7);
    assertThat(Labels.mixture(7, 9, Labels.MIXTURE_STEPS, 10)).isEqualTo(9);
    assertThat(Labels.mixture(7, 7, 5, 10)).isEqualTo(7);
  }

  private static String labels(long seed, long... upTo) {
    return IntStream.range(0, 10)
        .mapToObj(i -> Integer.toString(Labels.draw(seed, i, upTo)))
        .reduce((a, b) -> a + ", " + b)
        .orElseThrow();
  }
}
