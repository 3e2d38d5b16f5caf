package dev.dcgan.trainer.data.image;

import java.util.Arrays;

/**
 * Resizes pictures with a triangle filter, first along rows, then along columns: linear
 * interpolation when enlarging; when reducing, the filter widens with the scale, so that every
 * pixel counts and nothing flickers (Heckbert 1989, "Fundamentals of Texture Mapping and Image
 * Warping"). The same bytes on every machine: Java's arithmetic is exactly specified.
 */
final class Resampling {

  /** For each pixel of a line, the pixels it is made of: {@code first[i]} on, weighing so much. */
  @SuppressWarnings("ArrayRecordComponent") // Used here only, never compared.
  private record Filter(int[] first, float[][] weights) {

    static Filter of(int from, int to) {
      double scale = (double) from / to;
      double reach = Math.max(1, scale);
      int[] first = new int[to];
      float[][] weights = new float[to][];
      for (int i = 0; i < to; i++) {
        double centre = (i + 0.5) * scale;
        first[i] = (int) Math.max(0, Math.floor(centre - reach));
        int end = (int) Math.min(from, Math.ceil(centre + reach));
        weights[i] = new float[end - first[i]];
        double sum = 0;
        for (int j = first[i]; j < end; j++) {
          sum += weight(j, centre, reach);
        }
        for (int j = first[i]; j < end; j++) {
          weights[i][j - first[i]] = (float) (weight(j, centre, reach) / sum);
        }
      }
      return new Filter(first, weights);
    }

    private static double weight(int pixel, double centre, double reach) {
      return Math.max(0, 1 - Math.abs(pixel + 0.5 - centre) / reach);
    }
  }

  private Resampling() {}

  /** The picture at another size; itself where that is its size. */
  static Bitmap resize(Bitmap picture, int width, int height) {
    if (picture.width() == width && picture.height() == height) {
      return picture;
    }
    int channels = picture.channels();
    float[] rows =
        narrow(picture, Filter.of(picture.width(), width), width); // (old height, width, c)
    Filter filter = Filter.of(picture.height(), height);
    int row = width * channels;
    byte[] pixels = new byte[height * row];
    float[] sums = new float[row];
    for (int y = 0; y < height; y++) {
      Arrays.fill(sums, 0);
      float[] weights = filter.weights[y];
      for (int j = 0; j < weights.length; j++) {
        int from = (filter.first[y] + j) * row;
        for (int i = 0; i < row; i++) {
          sums[i] += weights[j] * rows[from + i];
        }
      }
      for (int i = 0; i < row; i++) {
        pixels[y * row + i] = (byte) Math.max(0, Math.min(255, Math.round(sums[i])));
      }
    }
    return new Bitmap(width, height, channels, pixels);
  }

  private static float[] narrow(Bitmap picture, Filter filter, int width) {
    int channels = picture.channels();
    float[] rows = new float[picture.height() * width * channels];
    for (int y = 0; y < picture.height(); y++) {
      for (int x = 0; x < width; x++) {
        float[] weights = filter.weights[x];
        for (int channel = 0; channel < channels; channel++) {
          int from = (y * picture.width() + filter.first[x]) * channels + channel;
          float sum = 0;
          for (int j = 0; j < weights.length; j++) {
            sum += weights[j] * (picture.pixels()[from + j * channels] & 0xFF);
          }
          rows[(y * width + x) * channels + channel] = sum;
        }
      }
    }
    return rows;
  }
}
