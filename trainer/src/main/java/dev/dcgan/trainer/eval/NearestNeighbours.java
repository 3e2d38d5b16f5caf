package dev.dcgan.trainer.eval;

import java.util.Arrays;

/** How far pictures are from the nearest training picture: near 0 where training was memorised. */
final class NearestNeighbours {

  private final Matrix training;

  NearestNeighbours(Matrix training) {
    this.training = training;
  }

  /** The median over the pictures of the distance to the nearest training picture. */
  double medianDistance(Matrix pictures) {
    int[] nearest = Distances.nearest(pictures, training);
    double[] distances = new double[nearest.length];
    // A copy's distance is 0, not what rounding left of it.
    Arrays.setAll(distances, i -> Math.sqrt(Distances.exact(pictures, i, training, nearest[i])));
    Arrays.sort(distances);
    int half = distances.length / 2;
    return distances.length % 2 == 1
        ? distances[half]
        : (distances[half - 1] + distances[half]) / 2;
  }
}
