package dev.dcgan.trainer.eval;

import dev.dcgan.trainer.data.ImageDataset;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How much the pictures of a sheet differ among themselves, against those of the data: a cheap sign
 * of collapse.
 *
 * <p>The mean over all pairs of the Euclidean distance between their pixels. Unchanging; for any
 * thread.
 */
public final class Diversity {

  private static final int REALS = 100;

  private final double real;

  private Diversity(double real) {
    this.real = real;
  }

  /** Measures at most 100 of the data's pictures. */
  public static Diversity of(ImageDataset data) throws IOException {
    int count = Math.min(REALS, data.size());
    int size = data.shape().values();
    byte[] pixels = PixelBlocks.pixels(data, PixelBlocks.order(data.size(), 0), 0, count);
    List<byte[]> pictures = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      pictures.add(Arrays.copyOfRange(pixels, i * size, (i + 1) * size));
    }
    return new Diversity(meanDistance(pictures));
  }

  /**
   * The pictures' mean distance over the data's: about 1 for pictures as diverse as those, 0 where
   * all are alike. 1 where the data's own are all alike or only one.
   *
   * @param pictures uint8, of one shape, at least two
   */
  public double relative(List<byte[]> pictures) {
    if (pictures.size() < 2) {
      throw new IllegalArgumentException(pictures.size() + " pictures; expected at least 2");
    }
    return real == 0 ? 1 : meanDistance(pictures) / real;
  }

  private static double meanDistance(List<byte[]> pictures) {
    double sum = 0;
    for (int i = 1; i < pictures.size(); i++) {
      for (int j = 0; j < i; j++) {
        sum += distance(pictures.get(i), pictures.get(j));
      }
    }
    int pairs = pictures.size() * (pictures.size() - 1) / 2;
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
