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
    double[] distances = new double[pictures.rows()];
    Distances.visit(
        pictures,
        training,
        (index, squared) -> {
          int nearest = 0;
          for (int i = 1; i < squared.length; i++) {
            if (squared[i] < squared[nearest]) {
              nearest = i;
            }
          }
          // A copy's distance is 0, not what rounding left of it.
          distances[index] = Math.sqrt(Distances.exact(pictures, index, training, nearest));
        });
    Arrays.sort(distances);
    int half = distances.length / 2;
    return distances.length % 2 == 1
        ? distances[half]
        : (distances[half - 1] + distances[half]) / 2;
  }
}
