package dev.dcgan.trainer.eval;

import java.util.Arrays;

/**
 * The mean and covariance of features, gathered a few at a time.
 *
 * <p>In double and about the first row, so that a large common offset costs no digits.
 */
final class Gaussian {

  private final int size;
  private final double[] origin;
  private final double[] sums;
  private final double[][] products; // The upper triangle.

  // Mutable state; the sums are too.
  private long count;

  /** No rows yet, of {@code size} values each. */
  Gaussian(int size) {
    this.size = size;
    origin = new double[size];
    sums = new double[size];
    products = new double[size][size];
  }

  /** The fit to all rows. */
  static Gaussian of(Matrix rows) {
    Gaussian gaussian = new Gaussian(rows.columns());
    gaussian.add(rows);
    return gaussian;
  }

  /** Adds rows. */
  void add(Matrix rows) {
    if (rows.columns() != size) {
      throw new IllegalArgumentException(
          "rows of %d values; expected %d".formatted(rows.columns(), size));
    }
    double[] x = new double[size];
    for (int row = 0; row < rows.rows(); row++) {
      if (count == 0) {
        for (int i = 0; i < size; i++) {
          origin[i] = rows.values()[i];
        }
      }
      for (int i = 0; i < size; i++) {
        x[i] = rows.values()[row * size + i] - origin[i];
      }
      add(x);
    }
  }

  private void add(double[] x) {
    count++;
    for (int i = 0; i < size; i++) {
      sums[i] += x[i];
      double xi = x[i];
      double[] products = this.products[i];
      for (int j = i; j < size; j++) {
        products[j] += xi * x[j];
      }
    }
  }

  int size() {
    return size;
  }

  double[] mean() {
    double[] mean = new double[size];
    Arrays.setAll(mean, i -> origin[i] + sums[i] / count);
    return mean;
  }

  /** Unbiased: over count - 1. */
  double[][] covariance() {
    if (count < 2) {
      throw new IllegalStateException("a covariance of " + count + " rows; expected at least 2");
    }
    double[][] covariance = new double[size][size];
    for (int i = 0; i < size; i++) {
      for (int j = i; j < size; j++) {
        covariance[i][j] = (products[i][j] - sums[i] * sums[j] / count) / (count - 1);
        covariance[j][i] = covariance[i][j];
      }
    }
    return covariance;
  }
}
