package dev.dcgan.trainer.eval;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;

/**
 * Squared Euclidean distances between the rows of two matrices.
 *
 * <p>As |a|^2 + |b|^2 - 2ab, whose last term is one matrix product, on the CPU, a block of rows at
 * a time. All is seen from the second matrix's mean: distances far below the rows' lengths would
 * drown in float32's rounding.
 */
final class Distances {

  // Distances in memory at once: 16 MiB.
  private static final int BLOCK_VALUES = 1 << 22;

  /** Hears of one row. */
  @FunctionalInterface
  interface RowVisitor {

    /**
     * The distances from row {@code index} to every row of the other matrix.
     *
     * @param squared at least 0; overwritten after the call
     */
    void visit(int index, float[] squared);
  }

  private Distances() {}

  /** Visits every row of {@code from}, in order. */
  static void visit(Matrix from, Matrix to, RowVisitor visitor) {
    if (from.columns() != to.columns()) {
      throw new IllegalArgumentException(
          "rows of %d and of %d values".formatted(from.columns(), to.columns()));
    }
    double[] centre = mean(to);
    visitCentred(less(from, centre), less(to, centre), visitor);
  }

  private static void visitCentred(Matrix from, Matrix to, RowVisitor visitor) {
    int blockRows = Math.max(1, Math.min(from.rows(), BLOCK_VALUES / to.rows()));
    float[] fromSquares = squares(from);
    float[] toSquares = squares(to);
    float[] row = new float[to.rows()];
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray transposed =
          manager.create(to.values(), new Shape(to.rows(), to.columns())).transpose();
      for (int first = 0; first < from.rows(); first += blockRows) {
        int rows = Math.min(blockRows, from.rows() - first);
        float[] products = products(from, first, rows, transposed);
        for (int i = 0; i < rows; i++) {
          for (int j = 0; j < row.length; j++) {
            float square = fromSquares[first + i] + toSquares[j];
            row[j] = Math.max(0, square - 2 * products[i * row.length + j]);
          }
          visitor.visit(first + i, row);
        }
      }
    }
  }

  /** The squared distance between two rows, from their differences. */
  static double exact(Matrix a, int rowOfA, Matrix b, int rowOfB) {
    double sum = 0;
    for (int i = 0; i < a.columns(); i++) {
      double difference =
          (double) a.values()[rowOfA * a.columns() + i] - b.values()[rowOfB * b.columns() + i];
      sum += difference * difference;
    }
    return sum;
  }

  /** (rows, columns of the other). */
  private static float[] products(Matrix from, int first, int rows, NDArray transposed) {
    int columns = from.columns();
    float[] block = Arrays.copyOfRange(from.values(), first * columns, (first + rows) * columns);
    try (NDManager scope = transposed.getManager().newSubManager()) {
      return scope.create(block, new Shape(rows, columns)).matMul(transposed).toFloatArray();
    }
  }

  private static double[] mean(Matrix matrix) {
    double[] mean = new double[matrix.columns()];
    for (int i = 0; i < matrix.values().length; i++) {
      mean[i % mean.length] += matrix.values()[i];
    }
    Arrays.setAll(mean, i -> mean[i] / matrix.rows());
    return mean;
  }

  private static Matrix less(Matrix matrix, double[] centre) {
    float[] values = new float[matrix.values().length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (matrix.values()[i] - centre[i % centre.length]);
    }
    return new Matrix(matrix.rows(), matrix.columns(), values);
  }

  private static float[] squares(Matrix matrix) {
    float[] squares = new float[matrix.rows()];
    for (int row = 0; row < squares.length; row++) {
      double sum = 0;
      for (int i = row * matrix.columns(); i < (row + 1) * matrix.columns(); i++) {
        sum += (double) matrix.values()[i] * matrix.values()[i];
      }
      squares[row] = (float) sum;
    }
    return squares;
  }
}
