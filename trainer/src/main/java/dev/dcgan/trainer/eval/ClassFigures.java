package dev.dcgan.trainer.eval;

/**
 * What a classifier makes of pictures.
 *
 * @param divergence Kullback-Leibler, of the pictures' classes from the data's own, in nats; 0
 *     where they are alike
 * @param covered classes that hold at least a tenth of the pictures that the data's own shares
 *     would give them
 * @param confidence the mean probability of a picture's likeliest class
 */
public record ClassFigures(double divergence, int covered, double confidence) {

  private static final double COVERED_SHARE = 0.1;

  /**
   * Compares classes.
   *
   * @param probabilities (pictures, classes)
   * @param expected the data's own shares, each above 0, summing to 1
   */
  static ClassFigures of(Matrix probabilities, double[] expected) {
    int classes = probabilities.columns();
    long[] counts = new long[classes];
    double confidence = 0;
    for (int row = 0; row < probabilities.rows(); row++) {
      int likeliest = likeliest(probabilities, row);
      counts[likeliest]++;
      confidence += probabilities.values()[row * classes + likeliest];
    }
    double divergence = 0;
    int covered = 0;
    for (int c = 0; c < classes; c++) {
      double share = (double) counts[c] / probabilities.rows();
      if (share > 0) {
        divergence += share * Math.log(share / expected[c]);
      }
      if (share >= COVERED_SHARE * expected[c]) {
        covered++;
      }
    }
    return new ClassFigures(divergence, covered, confidence / probabilities.rows());
  }

  /** The class of greatest probability; the first of equals. */
  static int likeliest(Matrix probabilities, int row) {
    int from = row * probabilities.columns();
    int likeliest = 0;
    for (int c = 1; c < probabilities.columns(); c++) {
      if (probabilities.values()[from + c] > probabilities.values()[from + likeliest]) {
        likeliest = c;
      }
    }
    return likeliest;
  }
}
