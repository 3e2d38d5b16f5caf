package dev.dcgan.trainer.eval;

import java.util.Arrays;

/**
 * The mean and covariance of feature vectors.
 *
 * <p>They are accumulated in double precision relative to the first row, so that a large common
 * offset costs no precision.
 */
final class Gaussian {

  private final int count;
  private final double[] origin;
  private final double[] sums;
  private final double[][] products; // the upper triangle

  private Gaussian(Matrix rows) {
    count = rows.rows();
    int size = rows.columns();
    origin = new double[size];
    sums = new double[size];
    products = new double[size][size];
    for (int i = 0; i < size; i++) {
      origin[i] = rows.values()[i];
    }
    double[] x = new double[size];
    for (int row = 0; row < count; row++) {
      for (int i = 0; i < size; i++) {
        x[i] = rows.values()[row * size + i] - origin[i];
      }
      add(x, sums, products);
    }
  }

  /** Fits a Gaussian to at least one row. */
  static Gaussian of(Matrix rows) {
    return new Gaussian(rows);
  }

  private static void add(double[] x, double[] sums, double[][] products) {
    for (int i = 0; i < x.length; i++) {
      sums[i] += x[i];
      double xi = x[i];
      double[] row = products[i];
      for (int j = i; j < x.length; j++) {
        row[j] += xi * x[j];
      }
    }
  }

  double[] mean() {
    double[] mean = new double[origin.length];
    Arrays.setAll(mean, i -> origin[i] + sums[i] / count);
    return mean;
  }

  /** The unbiased covariance, divided by count - 1. */
  double[][] covariance() {
    if (count < 2) {
      throw new IllegalStateException("a covariance of " + count + " rows; expected at least 2");
    }
    int size = origin.length;
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
