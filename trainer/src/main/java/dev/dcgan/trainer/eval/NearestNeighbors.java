package dev.dcgan.trainer.eval;

import java.util.Arrays;

/** Distances to the nearest training image; near 0 if the generator memorized the training set. */
final class NearestNeighbors {

  private final Matrix training;

  NearestNeighbors(Matrix training) {
    this.training = training;
  }

  /** The median of the images' distances to their nearest training image. */
  double medianDistance(Matrix images) {
    int[] nearest = Distances.nearest(images, training);
    double[] distances = new double[nearest.length];
    // Computed from the differences, so that the distance of a copy is exactly 0.
    Arrays.setAll(distances, i -> Math.sqrt(Distances.ofRows(images, i, training, nearest[i])));
    Arrays.sort(distances);
    int half = distances.length / 2;
    return distances.length % 2 == 1
        ? distances[half]
        : (distances[half - 1] + distances[half]) / 2;
  }
}
