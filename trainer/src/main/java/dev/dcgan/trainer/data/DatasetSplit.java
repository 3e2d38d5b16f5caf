package dev.dcgan.trainer.data;

import java.io.Closeable;
import java.io.IOException;

/**
 * Pictures to train on, and pictures of the same kind to measure by.
 *
 * @param training what the networks learn from
 * @param heldOut of the same shape and classes; where there is none to spare, {@code training}
 *     itself
 * @param disjoint whether {@code heldOut} is kept from training; false where it is {@code training}
 */
public record DatasetSplit(ImageDataset training, ImageDataset heldOut, boolean disjoint)
    implements Closeable {

  public DatasetSplit {
    if (!training.shape().equals(heldOut.shape()) || training.classes() != heldOut.classes()) {
      throw new IllegalArgumentException(
          "held-out pictures of %s in %d classes; training has %s in %d"
              .formatted(heldOut.shape(), heldOut.classes(), training.shape(), training.classes()));
    }
    if (disjoint == (training == heldOut)) {
      throw new IllegalArgumentException("disjoint " + disjoint + " contradicts the pictures");
    }
  }

  /** Gives back what the pictures hold open; they cannot be read afterwards. */
  @Override
  public void close() throws IOException {
    try {
      close(heldOut);
    } finally {
      close(training);
    }
  }

  private static void close(ImageDataset pictures) throws IOException {
    if (pictures instanceof Closeable open) {
      open.close();
    }
  }
}
