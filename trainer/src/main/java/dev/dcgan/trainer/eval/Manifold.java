package dev.dcgan.trainer.eval;

import java.util.Arrays;

/**
 * Where features lie: the union of balls about points, each as wide as the distance to the point's
 * third nearest neighbour.
 *
 * <p>Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing
 * generative models", with their k = 3. Precision is the share of generated images on the reals'
 * manifold, recall the share of reals on the generated images'.
 */
final class Manifold {

  private static final int NEIGHBOURS = 3;

  private final Matrix points;
  private final float[] squaredRadii;

  /** The manifold of at least two points. */
  Manifold(Matrix points) {
    if (points.rows() < 2) {
      throw new IllegalArgumentException(
          points.rows() + " points; a manifold takes at least 2, better more than " + NEIGHBOURS);
    }
    this.points = points;
    squaredRadii = new float[points.rows()];
    int rank = Math.min(NEIGHBOURS, points.rows() - 1);
    Distances.visit(
        points,
        points,
        (index, squared) -> {
          squared[index] = Float.POSITIVE_INFINITY; // A point is not its own neighbour.
          squaredRadii[index] = smallest(squared, rank);
        });
  }

  /** The share of candidates that lie in at least one ball, 0 to 1. */
  double share(Matrix candidates) {
    int[] inside = new int[1];
    Distances.visit(
        candidates,
        points,
        (index, squared) -> {
          for (int i = 0; i < squared.length; i++) {
            if (squared[i] <= squaredRadii[i]) {
              inside[0]++;
              return;
            }
          }
        });
    return (double) inside[0] / candidates.rows();
  }

  Matrix points() {
    return points;
  }

  /** The value of the given rank, 1 for the least. */
  private static float smallest(float[] values, int rank) {
    float[] least = new float[rank]; // Ascending.
    Arrays.fill(least, Float.POSITIVE_INFINITY);
    for (float value : values) {
      if (value < least[rank - 1]) {
        int at = rank - 1;
        for (; at > 0 && least[at - 1] > value; at--) {
          least[at] = least[at - 1];
        }
        least[at] = value;
      }
    }
    return least[rank - 1];
  }
}
