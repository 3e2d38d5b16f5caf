package dev.dcgan.trainer.eval;

import java.util.List;

/**
 * How well images show the classes that they were made for, or in the baseline their own.
 *
 * @param classes the classes of which there are images, in the order of the labels
 */
record LabelMetrics(List<ClassRow> classes) {

  /**
   * The metrics of one class.
   *
   * @param name the class's name
   * @param images the number of images of this label
   * @param heldOut the number of held-out images of this label
   * @param accuracy the fraction of the images that the classifier gives this label; NaN without a
   *     classifier
   * @param frechetDistance the distance to the held-out images of this label; NaN if it was not
   *     measured
   */
  record ClassRow(String name, int images, int heldOut, double accuracy, double frechetDistance) {}

  LabelMetrics {
    classes = List.copyOf(classes);
  }

  /** The fraction of all images that the classifier gives their label; NaN without a classifier. */
  double accuracy() {
    double right = 0;
    long images = 0;
    for (ClassRow each : classes) {
      right += each.accuracy * each.images;
      images += each.images;
    }
    return right / images;
  }

  /** The mean of the classes' Fréchet distances that were measured; NaN if none was. */
  double meanFrechetDistance() {
    return classes.stream()
        .mapToDouble(ClassRow::frechetDistance)
        .filter(distance -> !Double.isNaN(distance))
        .average()
        .orElse(Double.NaN);
  }
}
