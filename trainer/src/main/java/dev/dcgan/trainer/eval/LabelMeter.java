package dev.dcgan.trainer.eval;

import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.eval.LabelMetrics.ClassRow;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Computes the metrics of each class of images against the held-out images of the class.
 *
 * <p>The Fréchet distance is measured for at most {@link #MAX_CLASSES} classes of at least two
 * images in at most {@link #MAX_FEATURES} features: its time grows with the cube of the features.
 */
final class LabelMeter {

  static final int MAX_CLASSES = 100;
  static final int MAX_FEATURES = 512;

  private final List<String> names = new ArrayList<>();
  private final int[] heldOutCounts;
  private final List<@Nullable FrechetDistance> distances = new ArrayList<>();

  /**
   * Computes the statistics of the held-out images.
   *
   * @param labels of the images; -1: without a label
   */
  LabelMeter(ImageDataset heldOut, Matrix features, int[] labels) {
    heldOutCounts = new int[heldOut.classes()];
    boolean measured = heldOutCounts.length <= MAX_CLASSES && features.columns() <= MAX_FEATURES;
    for (int label = 0; label < heldOutCounts.length; label++) {
      Matrix rows = rows(features, labels, label);
      names.add(heldOut.className(label));
      heldOutCounts[label] = rows.rows();
      distances.add(measured && rows.rows() >= 2 ? new FrechetDistance(Gaussian.of(rows)) : null);
    }
  }

  /** Computes the metrics of images with the given labels. */
  LabelMetrics measure(Features images, int[] labels) {
    List<ClassRow> classes = new ArrayList<>();
    for (int label = 0; label < heldOutCounts.length; label++) {
      Matrix rows = rows(images.values(), labels, label);
      if (rows.rows() == 0) {
        continue;
      }
      FrechetDistance distance = distances.get(label);
      classes.add(
          new ClassRow(
              names.get(label),
              rows.rows(),
              heldOutCounts[label],
              accuracy(images.probabilities(), labels, label, rows.rows()),
              distance == null || rows.rows() < 2 ? Double.NaN : distance.to(Gaussian.of(rows))));
    }
    return new LabelMetrics(classes);
  }

  private static double accuracy(
      @Nullable Matrix probabilities, int[] labels, int label, int count) {
    if (probabilities == null) {
      return Double.NaN;
    }
    int right = 0;
    for (int row = 0; row < probabilities.rows(); row++) {
      if (labels[row] == label && ClassMetrics.argMax(probabilities, row) == label) {
        right++;
      }
    }
    return (double) right / count;
  }

  /** The rows of one label. */
  private static Matrix rows(Matrix all, int[] labels, int label) {
    int size = all.columns();
    float[] values = new float[all.values().length];
    int rows = 0;
    for (int row = 0; row < all.rows(); row++) {
      if (labels[row] == label) {
        System.arraycopy(all.values(), row * size, values, rows++ * size, size);
      }
    }
    return new Matrix(rows, size, Arrays.copyOf(values, rows * size));
  }
}
