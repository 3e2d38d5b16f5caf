package dev.dcgan.trainer.eval;

import java.util.Arrays;

/**
 * An estimate of the manifold of features: the union of balls around points, the radius of each the
 * distance to its third nearest neighbor.
 *
 * <p>Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing
 * generative models", with their k = 3. Precision is the fraction of generated images on the real
 * images' manifold, recall the fraction of real images on the generated images' manifold.
 */
final class Manifold {

  private static final int NEIGHBORS = 3;

  private final Matrix points;
  private final float[] squaredRadii;

  /** Estimates the manifold of at least two points. */
  Manifold(Matrix points) {
    if (points.rows() < 2) {
      throw new IllegalArgumentException(
          "a manifold of "
              + points.rows()
              + " points; expected at least 2, better more than "
              + NEIGHBORS);
    }
    this.points = points;
    squaredRadii = new float[points.rows()];
    int rank = Math.min(NEIGHBORS, points.rows() - 1);
    Distances.visit(
        points,
        points,
        (index, squared) -> {
          squared[index] = Float.POSITIVE_INFINITY; // A point is not its own neighbor.
          squaredRadii[index] = smallest(squared, rank);
        });
  }

  /** The fraction of candidates that are in at least one ball, 0 to 1. */
  double fractionInside(Matrix candidates) {
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

  /** The value of the given rank; 1 is the smallest. */
  private static float smallest(float[] values, int rank) {
    float[] least = new float[rank]; // ascending
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
