package dev.dcgan.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LatentsTest {

  /** The golden vectors of the class's Javadoc; an independent program in Python gave the same. */
  @ParameterizedTest
  @CsvSource({
    "0, 0, 3f7dbb33 bf6cb6b0 bf1e1b9f bef6d1b2",
    "1, 0, 3ec2c3e3 be97b1bc be7f370c bf807dbd",
    "1, 1, be290243 402b4aed bfc7a949 3f4140d4",
    "18446744073709551615, 7, 3f098515 be361eba 3e144fe7 bfe08c2c",
  })
  void of_givesTheGoldenVectors(String seed, String index, String bits) {
    float[] z = Latents.of(Long.parseUnsignedLong(seed), Long.parseUnsignedLong(index), 4);

    assertThat(bits(z)).isEqualTo(bits);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5, 63, 64, 100})
  void of_aLongerLatentStartsWithTheShorterOne(int size) {
    float[] longer = Latents.of(42, 9, 128);

    assertThat(Latents.of(42, 9, size)).containsExactly(Arrays.copyOf(longer, size));
  }

  @Test
  void of_dependsOnSeedAndIndexAlone() {
    Map<Long, float[]> ascending = new HashMap<>();
    for (long index = 0; index < 50; index++) {
      ascending.put(index, Latents.of(3, index, 64));
    }
    for (long index = 49; index >= 0; index--) {
      assertThat(Latents.of(3, index, 64)).containsExactly(ascending.get(index));
    }
  }

  @Test
  void of_tellsEverySeedAndIndexApart() {
    long[] corners = {
      0, 1, 2, 1L << 31, 1L << 32, (1L << 32) + 1, Long.MAX_VALUE, Long.MIN_VALUE, -2, -1
    };
    Set<String> seen = new HashSet<>();
    for (long seed : corners) {
      for (long index : corners) {
        assertThat(seen.add(bits(Latents.of(seed, index, 4)))).as("%d, %d", seed, index).isTrue();
      }
    }
  }

  @Test
  void fill_writesItsRangeAlone() {
    float[] z = new float[12];
    Arrays.fill(z, 99);

    Latents.fill(5, 6, z, 3, 7);

    assertThat(Arrays.copyOfRange(z, 3, 10)).containsExactly(Latents.of(5, 6, 7));
    assertThat(new float[] {z[0], z[1], z[2], z[10], z[11]}).containsOnly(99);
  }

  @Test
  void of_aMillionNumbersLookNormal() {
    int count = 1_000_000;
    double sum = 0;
    double squares = 0;
    double fourths = 0;
    double neighbours = 0;
    int beyond2 = 0;
    int beyond4 = 0;
    for (int index = 0; index < count / 100; index++) {
      float[] z = Latents.of(2026, index, 100);
      for (int i = 0; i < 100; i++) {
        double square = (double) z[i] * z[i];
        sum += z[i];
        squares += square;
        fourths += square * square;
        neighbours += (double) z[i] * z[(i + 1) % 100];
        beyond2 += square > 4 ? 1 : 0;
        beyond4 += square > 16 ? 1 : 0;
      }
    }

    // Bounds of five standard errors or more; the numbers are the same in every run.
    assertThat(sum / count).as("mean").isCloseTo(0, within(0.005));
    assertThat(squares / count).as("variance").isCloseTo(1, within(0.0075));
    assertThat(fourths / count).as("fourth moment").isCloseTo(3, within(0.05));
    assertThat(neighbours / count).as("covariance of neighbours").isCloseTo(0, within(0.005));
    assertThat(beyond2 / (double) count).as("|z| > 2").isCloseTo(0.0455, within(0.0011));
    assertThat(beyond4).as("|z| > 4; 63.3 are expected").isBetween(24, 103);
  }

  private static String bits(float[] z) {
    StringBuilder bits = new StringBuilder();
    for (float value : z) {
      bits.append(" %08x".formatted(Float.floatToRawIntBits(value)));
    }
    return bits.substring(1);
  }
}
