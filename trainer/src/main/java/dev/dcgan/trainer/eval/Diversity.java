package dev.dcgan.trainer.eval;

import dev.dcgan.trainer.data.ImageDataset;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The diversity of a sample grid relative to the dataset: a cheap indicator of mode collapse.
 *
 * <p>Diversity is the mean Euclidean distance between the pixels of all pairs of images. Immutable
 * and thread-safe.
 */
final class Diversity {

  private static final int MAX_REAL_IMAGES = 100;

  private final double realDiversity;

  private Diversity(double realDiversity) {
    this.realDiversity = realDiversity;
  }

  /** Measures the diversity of up to 100 images of the dataset. */
  static Diversity of(ImageDataset data) throws IOException {
    int count = Math.min(MAX_REAL_IMAGES, data.size());
    int size = data.shape().values();
    byte[] pixels = ImageBatches.pixels(data, ImageBatches.permutation(data.size(), 0), 0, count);
    List<byte[]> images = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      images.add(Arrays.copyOfRange(pixels, i * size, (i + 1) * size));
    }
    return new Diversity(meanDistance(images));
  }

  /**
   * The images' diversity divided by the dataset's: 1 if they are as diverse, 0 if all are equal.
   * It is 1 if the dataset has a single image or only equal ones.
   *
   * @param images uint8, of one shape, at least two
   */
  double relative(List<byte[]> images) {
    if (images.size() < 2) {
      throw new IllegalArgumentException(images.size() + " images; expected at least 2");
    }
    return realDiversity == 0 ? 1 : meanDistance(images) / realDiversity;
  }

  private static double meanDistance(List<byte[]> images) {
    double sum = 0;
    for (int i = 1; i < images.size(); i++) {
      for (int j = 0; j < i; j++) {
        sum += distance(images.get(i), images.get(j));
      }
    }
    int pairs = images.size() * (images.size() - 1) / 2;
    return pairs == 0 ? 0 : sum / pairs;
  }

  private static double distance(byte[] a, byte[] b) {
    long sum = 0;
    for (int i = 0; i < a.length; i++) {
      int difference = (a[i] & 0xFF) - (b[i] & 0xFF);
      sum += (long) difference * difference;
    }
    return Math.sqrt((double) sum);
  }
}
