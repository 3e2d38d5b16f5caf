package dev.dcgan.latent;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** Compares the bits with those of {@link StrictMath}, for the 2^32 words of the scheme. */
class FdlibmTest {

  private static final long WORDS = 1L << 32;

  /**
   * The step between tested words. It is prime, so that every pattern of low bits occurs; {@code
   * -Dlatent.stride=1} compares all 2^32, in minutes.
   */
  private static final long STRIDE = Long.getLong("latent.stride", 101);

  /** The words around a point where fdlibm, or the class, switches between formulas. */
  private static final long AROUND = 1 << 11;

  private final double[] cosSin = new double[2];

  @Test
  void ln_isStrictMaths() {
    for (long word = 0; word < WORDS; word += STRIDE) {
      checkLn(word);
    }
  }

  @Test
  void ln_nearPowersOfTwoAndItsBranches_isStrictMaths() {
    // High words of 2^k (1 + f): f = 0, the ends of the band about sqrt(2), the step to the next k.
    long[] fractions = {0x00000, 0x00001, 0x6147a, 0x6a09c, 0x6b852, 0xffffe, 0xfffff};
    for (long exponent = 1023 - 33; exponent < 1023; exponent++) {
      for (long fraction : fractions) {
        checkLnAround(Double.longBitsToDouble(exponent << 52 | fraction << 32));
      }
      checkLnAround(Math.scalb(1 - 0x1p-19, (int) exponent - 1022));
      checkLnAround(Math.scalb(1 + 0x1p-19, (int) exponent - 1023));
    }
  }

  @Test
  void cosSin_isStrictMaths() {
    for (long word = 0; word < WORDS; word += STRIDE) {
      checkCosSin(word);
    }
  }

  @Test
  void cosSin_nearMultiplesOfAnEighthTurn_isStrictMaths() {
    double[] distances = {
      0, 0x1p-17, 0x1p-18, 0x1p-19, 0x1p-20, 0.3, fromHigh(0x3fd33333), fromHigh(0x3fe90001)
    };
    for (int eighth = 0; eighth <= 8; eighth++) {
      for (double distance : distances) {
        checkCosSinAround(eighth * Math.PI / 4 - distance);
        checkCosSinAround(eighth * Math.PI / 4 + distance);
      }
    }
    checkCosSinAround(fromHigh(0x3fe921fc)); // where the reduction starts
    checkCosSinAround(fromHigh(0x4002d97c)); // where fdlibm's general one does
  }

  private void checkLnAround(double u) {
    long middle = Math.round(u * WORDS);
    for (long word = first(middle); word < end(middle); word++) {
      checkLn(word);
    }
  }

  private void checkCosSinAround(double angle) {
    long middle = Math.round(angle / (2 * Math.PI) * WORDS);
    for (long word = first(middle); word < end(middle); word++) {
      checkCosSin(word);
    }
  }

  private static long first(long middle) {
    return Math.max(0, middle - AROUND);
  }

  private static long end(long middle) {
    return Math.min(WORDS, middle + AROUND);
  }

  private void checkLn(long word) {
    double u = unit(word);
    checkSame("ln", word, Fdlibm.ln(u), StrictMath.log(u));
  }

  private void checkCosSin(long word) {
    double angle = 2 * Math.PI * unit(word);
    Fdlibm.cosSin(angle, cosSin, 0);
    checkSame("cos", word, cosSin[0], StrictMath.cos(angle));
    checkSame("sin", word, cosSin[1], StrictMath.sin(angle));
  }

  /** The number in (0, 1) that the scheme computes from a word. */
  private static double unit(long word) {
    double unit = (word + 0.5) * 0x1p-32;
    checkSame("unit", word, Latents.unit((int) word), unit);
    return unit;
  }

  /** AssertJ is called for differences only, because it takes longer than the computation. */
  private static void checkSame(String what, long word, double actual, double expected) {
    if (Double.doubleToRawLongBits(actual) != Double.doubleToRawLongBits(expected)) {
      assertThat(actual).as("%s of word %08x", what, word).isEqualTo(expected);
      throw new AssertionError("%s of word %08x: the sign of zero".formatted(what, word));
    }
  }

  private static double fromHigh(long high) {
    return Double.longBitsToDouble(high << 32);
  }
}
