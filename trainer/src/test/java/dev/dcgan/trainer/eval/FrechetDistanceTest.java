package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class FrechetDistanceTest {

  @Test
  void to_ofDiagonalCovariances_isTheClosedForm() {
    // Points at mean +- spread along each axis: n = 4 gives the variances 2 spread^2 / 3.
    Matrix narrow = cross(0, 0, 3, 6);
    Matrix wide = cross(1, -2, 12, 1.5f);

    // |m1 - m2|^2 + sum of (s1 - s2)^2
    double scale = 2.0 / 3;
    assertThat(distance(narrow, wide)).isCloseTo(1 + 4 + scale * (9 * 9 + 4.5 * 4.5), within(1e-9));
  }

  @Test
  void to_ofTwoDimensionsThatDoNotCommute_isTheClosedForm() {
    // S1 = diag(4, 1), S2 = [[2, 1], [1, 2]]: S1 S2 has trace 10 and determinant 12, so the trace
    // of its root is sqrt(10 + 2 sqrt(12)) = 4.1145.
    Matrix first = rows(new float[][] {{2, 0}, {-2, 0}, {0, 1}, {0, -1}});
    float r = (float) Math.sqrt(1.5);
    float h = (float) Math.sqrt(0.5);
    Matrix second = rows(new float[][] {{r, r}, {-r, -r}, {h, -h}, {-h, h}});

    // Both covariances are 2/3 of those: divided by n - 1 = 3, not by 2.
    double expected = 2.0 / 3 * (5 + 4 - 2 * Math.sqrt(10 + 2 * Math.sqrt(12)));
    assertThat(distance(first, second)).isCloseTo(expected, within(1e-6));
    assertThat(distance(second, first)).isCloseTo(expected, within(1e-6));
  }

  @Test
  void to_itself_isZero() {
    Matrix rows = normals(300, 20, 1);

    assertThat(distance(rows, rows)).isCloseTo(0, within(1e-9));
  }

  @Test
  void to_ofFewerRowsThanFeatures_isFiniteAndZeroToItself() {
    // Rank 4 of 20.
    Matrix few = normals(5, 20, 1);
    Matrix others = normals(5, 20, 2);

    assertThat(distance(few, few)).isCloseTo(0, within(1e-5));
    assertThat(distance(few, others)).isFinite().isPositive();
    assertThat(distance(few, others)).isCloseTo(distance(others, few), within(1e-5));
  }

  @Test
  void to_constantFeatures_isTheDistanceOfMeansAndTheVariance() {
    Matrix constant = rows(new float[][] {{1, 1}, {1, 1}, {1, 1}, {1, 1}});

    assertThat(distance(constant, cross(4, 5, 3, 3)))
        .isCloseTo(9 + 16 + 2.0 / 3 * 18, within(1e-9));
  }

  @Test
  void to_farFromTheOrigin_losesNoDigits() {
    Matrix near = cross(0, 0, 1, 2);
    Matrix far = cross(1 << 20, 1 << 20, 1, 2);
    Matrix farther = cross((1 << 20) + 1, 1 << 20, 1, 2);

    assertThat(distance(near, near)).isCloseTo(0, within(1e-9));
    assertThat(distance(far, farther)).isCloseTo(1, within(1e-9));
  }

  @Test
  void gaussian_ofOneRow_hasNoCovariance() {
    Gaussian one = Gaussian.of(rows(new float[][] {{1, 2}}));

    assertThat(one.mean()).containsExactly(1, 2);
    assertThatThrownBy(one::covariance)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("at least 2");
  }

  private static double distance(Matrix reference, Matrix other) {
    return new FrechetDistance(Gaussian.of(reference)).to(Gaussian.of(other));
  }

  private static Matrix cross(float x, float y, float spreadX, float spreadY) {
    return rows(
        new float[][] {{x + spreadX, y}, {x - spreadX, y}, {x, y + spreadY}, {x, y - spreadY}});
  }

  private static Matrix normals(int rows, int columns, long seed) {
    Random random = new Random(seed);
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return new Matrix(rows, columns, values);
  }

  static Matrix rows(float[][] rows) {
    float[] values = new float[rows.length * rows[0].length];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], 0, values, row * rows[0].length, rows[0].length);
    }
    return new Matrix(rows.length, rows[0].length, values);
  }
}
