package dev.dcgan.trainer.train;

/** The last values of a series. */
final class SlidingWindow {

  private final double[] values;

  // Mutable state
  private long count;

  SlidingWindow(int size) {
    values = new double[size];
  }

  void add(double value) {
    values[(int) (count++ % values.length)] = value;
  }

  /** Whether the window is full. */
  boolean isFull() {
    return count >= values.length;
  }

  /**
   * The mean of a full window. It is summed each time: a running sum would keep the rounding errors
   * of large values that have left the window.
   */
  double mean() {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }
}
