package dev.dcgan.trainer.eval;

import java.util.Arrays;
import java.util.List;

/**
 * Rows of numbers: features or probabilities, one row a picture.
 *
 * @param values (rows, columns), row-major
 */
@SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
public record Matrix(int rows, int columns, float[] values) {

  public Matrix {
    if (Math.multiplyExact(rows, columns) != values.length) {
      throw new IllegalArgumentException(
          "%d values in a matrix of %d x %d".formatted(values.length, rows, columns));
    }
  }

  /** The first rows, or all where there are fewer. */
  Matrix first(int count) {
    return count >= rows
        ? this
        : new Matrix(count, columns, Arrays.copyOf(values, count * columns));
  }

  /** All rows of the matrices, in order. */
  static Matrix stack(List<Matrix> parts) {
    int rows = 0;
    for (Matrix part : parts) {
      rows += part.rows;
    }
    int columns = parts.get(0).columns;
    float[] values = new float[Math.multiplyExact(rows, columns)];
    int offset = 0;
    for (Matrix part : parts) {
      System.arraycopy(part.values, 0, values, offset, part.values.length);
      offset += part.values.length;
    }
    return new Matrix(rows, columns, values);
  }
}
