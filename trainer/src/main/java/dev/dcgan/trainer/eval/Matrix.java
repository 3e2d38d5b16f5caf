package dev.dcgan.trainer.eval;

import java.util.Arrays;
import java.util.List;

/**
 * A float32 matrix of features or probabilities with one row per image.
 *
 * @param values (rows, columns), row-major
 */
@SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
record Matrix(int rows, int columns, float[] values) {

  Matrix {
    if (Math.multiplyExact(rows, columns) != values.length) {
      throw new IllegalArgumentException(
          "%d values in a matrix of %d x %d".formatted(values.length, rows, columns));
    }
  }

  /** The first {@code count} rows, or all if there are fewer. */
  Matrix first(int count) {
    return count >= rows
        ? this
        : new Matrix(count, columns, Arrays.copyOf(values, count * columns));
  }

  /** Concatenates the rows of the matrices. */
  static Matrix stack(List<Matrix> matrices) {
    int rows = 0;
    for (Matrix matrix : matrices) {
      rows += matrix.rows;
    }
    int columns = matrices.get(0).columns;
    float[] values = new float[Math.multiplyExact(rows, columns)];
    int offset = 0;
    for (Matrix matrix : matrices) {
      System.arraycopy(matrix.values, 0, values, offset, matrix.values.length);
      offset += matrix.values.length;
    }
    return new Matrix(rows, columns, values);
  }
}
