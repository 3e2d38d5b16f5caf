package dev.dcgan.trainer.train;

import java.util.List;
import java.util.OptionalDouble;

/**
 * How varied generated pictures are, beside as many real ones.
 *
 * @param generated mean distance between two generated pictures, grey levels
 * @param real mean distance between two real pictures, grey levels
 * @param coverage the fraction of the classes that the generated pictures show, in [0, 1]; empty
 *     where there are no classes
 */
public record Diversity(double generated, double real, OptionalDouble coverage) {

  public Diversity {
    if (!(generated >= 0 && real >= 0)) {
      throw new IllegalArgumentException(
          "distances %s and %s; expected 0 or more".formatted(generated, real));
    }
    if (coverage.isPresent() && !(coverage.getAsDouble() >= 0 && coverage.getAsDouble() <= 1)) {
      throw new IllegalArgumentException(
          "coverage %s; expected 0 to 1".formatted(coverage.getAsDouble()));
    }
  }

  /**
   * Compares pictures by their pixels.
   *
   * @param generated at least 2 pictures, uint8, all of one size
   * @param real at least 2, likewise
   */
  public static Diversity of(List<byte[]> generated, List<byte[]> real) {
    return new Diversity(meanDistance(generated), meanDistance(real), OptionalDouble.empty());
  }

  /**
   * The generated pictures' distance as a part of the real ones'; 1 where all real are the same.
   */
  public double ratio() {
    return real == 0 ? 1 : generated / real;
  }

  /** Over all pairs, the mean of the root mean square difference of two pictures' values. */
  private static double meanDistance(List<byte[]> pictures) {
    if (pictures.size() < 2) {
      throw new IllegalArgumentException(
          "%d pictures; a distance needs 2 or more".formatted(pictures.size()));
    }
    double sum = 0;
    int pairs = 0;
    for (int i = 0; i < pictures.size(); i++) {
      for (int j = 0; j < i; j++) {
        sum += distance(pictures.get(i), pictures.get(j));
        pairs++;
      }
    }
    return sum / pairs;
  }

  private static double distance(byte[] a, byte[] b) {
    if (a.length != b.length) {
      throw new IllegalArgumentException(
          "pictures of %d and %d values; expected one size".formatted(a.length, b.length));
    }
    long sum = 0;
    for (int i = 0; i < a.length; i++) {
      int difference = (a[i] & 0xFF) - (b[i] & 0xFF);
      sum += (long) difference * difference;
    }
    return Math.sqrt((double) sum / a.length);
  }
}
