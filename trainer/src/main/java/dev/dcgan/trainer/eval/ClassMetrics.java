package dev.dcgan.trainer.eval;

/**
 * Metrics of the classes that a classifier assigns to images.
 *
 * @param klDivergence the Kullback-Leibler divergence of the images' class distribution from the
 *     dataset's, in nats; 0 if they are equal
 * @param modesCovered the number of classes with at least a tenth of the images that the dataset's
 *     class distribution predicts
 * @param confidence the mean probability of an image's most probable class
 */
public record ClassMetrics(double klDivergence, int modesCovered, double confidence) {

  private static final double MIN_COVERED_SHARE = 0.1;

  /**
   * Compares class distributions.
   *
   * @param probabilities (images, classes)
   * @param expected the dataset's class distribution: each value above 0, their sum 1
   */
  static ClassMetrics of(Matrix probabilities, double[] expected) {
    int classes = probabilities.columns();
    long[] counts = new long[classes];
    double confidence = 0;
    for (int row = 0; row < probabilities.rows(); row++) {
      int argMax = argMax(probabilities, row);
      counts[argMax]++;
      confidence += probabilities.values()[row * classes + argMax];
    }
    double klDivergence = 0;
    int modesCovered = 0;
    for (int c = 0; c < classes; c++) {
      double share = (double) counts[c] / probabilities.rows();
      if (share > 0) {
        klDivergence += share * Math.log(share / expected[c]);
      }
      if (share >= MIN_COVERED_SHARE * expected[c]) {
        modesCovered++;
      }
    }
    return new ClassMetrics(klDivergence, modesCovered, confidence / probabilities.rows());
  }

  /** The most probable class; the first if several are equal. */
  static int argMax(Matrix probabilities, int row) {
    int from = row * probabilities.columns();
    int argMax = 0;
    for (int c = 1; c < probabilities.columns(); c++) {
      if (probabilities.values()[from + c] > probabilities.values()[from + argMax]) {
        argMax = c;
      }
    }
    return argMax;
  }
}
