package dev.dcgan.trainer.gan;

import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;

/**
 * The product of two polynomials in two variables by evaluation and interpolation (Toom 1963, Cook
 * 1966; for convolutions, Lavin and Gray 2016): with p points a dimension it takes p * p products,
 * as many as the product has coefficients.
 *
 * <p>With f and g coefficients a dimension and p = f + g - 1 points, and matrices over row-major
 * squares: coefficients * ((firstAt * first) . (secondAt * second)) = first times second.
 */
final class ToomCook {

  /**
   * The points, infinity last: small, of both signs, and few, for rounding grows with their powers
   * (Barabasz et al. 2018).
   */
  private static final double[] POINTS = {0, 1, -1, 0.5, -2};

  /** The most coefficients a dimension that the product can have. */
  static final int MOST_POINTS = POINTS.length + 1;

  private final DMatrixRMaj first;
  private final DMatrixRMaj second;
  private final DMatrixRMaj inverse;

  /**
   * For squares of {@code f} x {@code f} and {@code g} x {@code g} coefficients.
   *
   * @throws IllegalArgumentException f + g - 1 is more than {@link #MOST_POINTS}
   */
  ToomCook(int f, int g) {
    int points = f + g - 1;
    if (points > MOST_POINTS) {
      throw new IllegalArgumentException(
          "%d coefficients a dimension: expected at most %d".formatted(points, MOST_POINTS));
    }
    first = powers(points, f);
    second = powers(points, g);
    inverse = powers(points, points);
    if (!CommonOps_DDRM.invert(inverse)) {
      throw new IllegalStateException("distinct points have an inverse");
    }
  }

  /** (p * p, f * f): a square's coefficients to its values at the points. */
  float[] firstAt() {
    return square(first);
  }

  /** (p * p, g * g): the same of the second factor. */
  float[] secondAt() {
    return square(second);
  }

  /** (p * p, p * p): the product's values to its coefficients. */
  float[] coefficients() {
    return square(inverse);
  }

  /** Row i holds the powers of point i; infinity's picks the highest coefficient. */
  private static DMatrixRMaj powers(int points, int coefficients) {
    DMatrixRMaj matrix = new DMatrixRMaj(points, coefficients);
    for (int i = 0; i < points - 1; i++) {
      for (int j = 0; j < coefficients; j++) {
        matrix.set(i, j, Math.pow(POINTS[i], j));
      }
    }
    matrix.set(points - 1, coefficients - 1, 1);
    return matrix;
  }

  /** One dimension's matrix for both dimensions, row-major. */
  private static float[] square(DMatrixRMaj matrix) {
    DMatrixRMaj square = CommonOps_DDRM.kron(matrix, matrix, null);
    float[] values = new float[square.getNumElements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) square.get(i);
    }
    return values;
  }
}
