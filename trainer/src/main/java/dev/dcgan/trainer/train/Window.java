package dev.dcgan.trainer.train;

/** The last so many values of a series. */
final class Window {

  private final double[] values;

  // Mutable state
  private long count;

  Window(int size) {
    values = new double[size];
  }

  void add(double value) {
    values[(int) (count++ % values.length)] = value;
  }

  /** Whether as many values have come as it holds. */
  boolean isFull() {
    return count >= values.length;
  }

  /**
   * The mean of a full window; summed afresh, since a running sum would keep the rounding errors of
   * large values long gone.
   */
  double mean() {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }
}
