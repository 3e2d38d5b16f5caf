package dev.dcgan.trainer.gan;

import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;

/**
 * The matrices of the Toom-Cook algorithm, which multiplies two polynomials in two variables by
 * evaluation and interpolation (Toom 1963, Cook 1966; for convolutions, Lavin and Gray 2016). With
 * p points per dimension it takes p * p multiplications, one per coefficient of the product.
 *
 * <p>For f x f and g x g coefficients, row-major, and p = f + g - 1 points: product = interpolation
 * * ((firstEvaluation * first) . (secondEvaluation * second)).
 */
final class ToomCook {

  /**
   * The points; infinity is the last one and not listed. They are small and of both signs, because
   * rounding errors grow with their powers (Barabasz et al. 2018).
   */
  private static final double[] POINTS = {0, 1, -1, 0.5, -2};

  /** The maximum number of the product's coefficients per dimension. */
  static final int MAX_POINTS = POINTS.length + 1;

  private final DMatrixRMaj first;
  private final DMatrixRMaj second;
  private final DMatrixRMaj inverse;

  /**
   * Computes the matrices for {@code f} x {@code f} and {@code g} x {@code g} coefficients.
   *
   * @throws IllegalArgumentException if f + g - 1 exceeds {@link #MAX_POINTS}
   */
  ToomCook(int f, int g) {
    int points = f + g - 1;
    if (points > MAX_POINTS) {
      throw new IllegalArgumentException(
          "%d coefficients per dimension; expected at most %d".formatted(points, MAX_POINTS));
    }
    first = powers(points, f);
    second = powers(points, g);
    inverse = powers(points, points);
    if (!CommonOps_DDRM.invert(inverse)) {
      throw new IllegalStateException("the matrix of the points is singular");
    }
  }

  /** (p * p, f * f): maps the first factor's coefficients to its values at the points. */
  float[] firstEvaluation() {
    return inBothDimensions(first);
  }

  /** (p * p, g * g): maps the second factor's coefficients to its values at the points. */
  float[] secondEvaluation() {
    return inBothDimensions(second);
  }

  /** (p * p, p * p): maps the product's values at the points to its coefficients. */
  float[] interpolation() {
    return inBothDimensions(inverse);
  }

  /** (p, f): the evaluation of the first factor in one dimension. */
  DMatrixRMaj first() {
    return first;
  }

  /** (p, g): the evaluation of the second factor in one dimension. */
  DMatrixRMaj second() {
    return second;
  }

  /** (p, p): the interpolation in one dimension. */
  DMatrixRMaj inverse() {
    return inverse;
  }

  /** Row i has the powers of point i; the row of infinity selects the highest coefficient. */
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

  /** The Kronecker product of a matrix with itself: applies it in both dimensions; row-major. */
  static float[] inBothDimensions(DMatrixRMaj matrix) {
    DMatrixRMaj square = CommonOps_DDRM.kron(matrix, matrix, null);
    float[] values = new float[square.getNumElements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) square.get(i);
    }
    return values;
  }
}
