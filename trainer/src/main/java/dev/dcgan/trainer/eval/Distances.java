package dev.dcgan.trainer.eval;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.torch.HostCopies;
import java.util.Arrays;

/**
 * Squared Euclidean distances between the rows of two matrices, computed on the CPU.
 *
 * <p>They are computed as |a|^2 + |b|^2 - 2ab, whose last term is a matrix product, for a block of
 * rows at a time. The second matrix's mean is subtracted from both matrices first: otherwise
 * rounding to float32 would exceed distances much smaller than the rows' norms.
 */
final class Distances {

  // 16 MiB of distances in memory.
  private static final int MAX_BLOCK_VALUES = 1 << 22;

  /** Receives the distances of one row. */
  @FunctionalInterface
  interface RowVisitor {

    /**
     * Receives the distances from row {@code index} to every row of the other matrix.
     *
     * @param squared the squared distances, at least 0; overwritten after the call
     */
    void visit(int index, float[] squared);
  }

  private Distances() {}

  /** Receives the distances of a block of rows. */
  @FunctionalInterface
  private interface BlockVisitor {

    /**
     * Receives the distances from rows {@code [first, first + n)}.
     *
     * @param squared (n, rows of the other matrix); rounding may leave values just below 0
     */
    void visit(int first, NDArray squared);
  }

  /** Visits every row of {@code from}, in order. */
  static void visit(Matrix from, Matrix to, RowVisitor visitor) {
    float[] row = new float[to.rows()];
    visitBlocks(
        from,
        to,
        (first, squared) -> {
          float[] values = HostCopies.floats(squared);
          for (int i = 0; i < values.length / row.length; i++) {
            for (int j = 0; j < row.length; j++) {
              row[j] = Math.max(0, values[i * row.length + j]);
            }
            visitor.visit(first + i, row);
          }
        });
  }

  /** Finds the index of the nearest row of {@code to} for every row of {@code from}. */
  static int[] nearest(Matrix from, Matrix to) {
    int[] nearest = new int[from.rows()];
    visitBlocks(
        from,
        to,
        (first, squared) -> {
          long[] indices = HostCopies.longs(squared.argMin(1));
          for (int i = 0; i < indices.length; i++) {
            nearest[first + i] = (int) indices[i];
          }
        });
    return nearest;
  }

  private static void visitBlocks(Matrix from, Matrix to, BlockVisitor visitor) {
    if (from.columns() != to.columns()) {
      throw new IllegalArgumentException(
          "rows of %d values; expected %d as in the other matrix"
              .formatted(from.columns(), to.columns()));
    }
    double[] center = mean(to);
    Matrix near = subtract(from, center);
    Matrix far = subtract(to, center);
    int columns = from.columns();
    int blockRows = Math.max(1, Math.min(from.rows(), MAX_BLOCK_VALUES / to.rows()));
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray transposed = manager.create(far.values(), new Shape(to.rows(), columns)).transpose();
      NDArray farSquares = manager.create(squaredNorms(far), new Shape(1, to.rows()));
      float[] nearSquares = squaredNorms(near);
      for (int first = 0; first < from.rows(); first += blockRows) {
        int last = Math.min(first + blockRows, from.rows());
        float[] block = Arrays.copyOfRange(near.values(), first * columns, last * columns);
        float[] blockSquares = Arrays.copyOfRange(nearSquares, first, last);
        try (NDManager scope = manager.newSubManager()) {
          NDArray squared =
              scope
                  .create(block, new Shape(last - first, columns))
                  .matMul(transposed)
                  .muli(-2)
                  .addi(farSquares)
                  .addi(scope.create(blockSquares, new Shape(last - first, 1)));
          visitor.visit(first, squared);
        }
      }
    }
  }

  /** Computes the squared distance of two rows from their differences, without cancellation. */
  static double ofRows(Matrix a, int rowOfA, Matrix b, int rowOfB) {
    double sum = 0;
    for (int i = 0; i < a.columns(); i++) {
      double difference =
          (double) a.values()[rowOfA * a.columns() + i] - b.values()[rowOfB * b.columns() + i];
      sum += difference * difference;
    }
    return sum;
  }

  private static double[] mean(Matrix matrix) {
    double[] mean = new double[matrix.columns()];
    for (int i = 0; i < matrix.values().length; i++) {
      mean[i % mean.length] += matrix.values()[i];
    }
    Arrays.setAll(mean, i -> mean[i] / matrix.rows());
    return mean;
  }

  private static Matrix subtract(Matrix matrix, double[] center) {
    float[] values = new float[matrix.values().length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (matrix.values()[i] - center[i % center.length]);
    }
    return new Matrix(matrix.rows(), matrix.columns(), values);
  }

  private static float[] squaredNorms(Matrix matrix) {
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
