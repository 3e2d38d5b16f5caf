package dev.dcgan.trainer.data;

import java.io.Closeable;
import java.io.IOException;

/**
 * A dataset split into images for training and images held out for evaluation.
 *
 * @param training the images that the networks are trained on; if there are classes, each has one
 * @param heldOut images of the same shape and classes, perhaps some without a label; {@code
 *     training} itself if none are held out
 * @param disjoint whether {@code heldOut} is excluded from training; false if it is {@code
 *     training}
 */
public record DatasetSplit(ImageDataset training, ImageDataset heldOut, boolean disjoint)
    implements Closeable {

  public DatasetSplit {
    if (!training.shape().equals(heldOut.shape()) || training.classes() != heldOut.classes()) {
      throw new IllegalArgumentException(
          "held-out images of %s in %d classes; expected %s in %d classes as in training"
              .formatted(heldOut.shape(), heldOut.classes(), training.shape(), training.classes()));
    }
    if (disjoint == (training == heldOut)) {
      throw new IllegalArgumentException("disjoint " + disjoint + " contradicts the datasets");
    }
  }

  /** Closes both datasets; they cannot be read afterwards. */
  @Override
  public void close() throws IOException {
    try {
      close(heldOut);
    } finally {
      close(training);
    }
  }

  private static void close(ImageDataset images) throws IOException {
    if (images instanceof Closeable open) {
      open.close();
    }
  }
}
