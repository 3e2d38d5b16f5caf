package dev.dcgan.trainer.data.image;

import java.util.Arrays;

/**
 * Resizes images with a separable triangle filter: bilinear interpolation for upscaling; for
 * downscaling the filter's support grows with the scale, which avoids aliasing (Heckbert 1989,
 * "Fundamentals of Texture Mapping and Image Warping"). The result has the same bytes on every
 * machine because Java's arithmetic is exactly specified.
 */
final class Resampling {

  /** For each output pixel, the weights of the input pixels from {@code first[i]} on. */
  @SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
  private record Filter(int[] first, float[][] weights) {

    static Filter of(int from, int to) {
      double scale = (double) from / to;
      double support = Math.max(1, scale);
      int[] first = new int[to];
      float[][] weights = new float[to][];
      for (int i = 0; i < to; i++) {
        double center = (i + 0.5) * scale;
        first[i] = (int) Math.max(0, Math.floor(center - support));
        int end = (int) Math.min(from, Math.ceil(center + support));
        weights[i] = new float[end - first[i]];
        double sum = 0;
        for (int j = first[i]; j < end; j++) {
          sum += weight(j, center, support);
        }
        for (int j = first[i]; j < end; j++) {
          weights[i][j - first[i]] = (float) (weight(j, center, support) / sum);
        }
      }
      return new Filter(first, weights);
    }

    private static double weight(int pixel, double center, double support) {
      return Math.max(0, 1 - Math.abs(pixel + 0.5 - center) / support);
    }
  }

  private Resampling() {}

  /** Resizes an image; returns the image itself if it has that size. */
  static Bitmap resize(Bitmap image, int width, int height) {
    if (image.width() == width && image.height() == height) {
      return image;
    }
    int channels = image.channels();
    float[] rows =
        resizeRows(image, Filter.of(image.width(), width), width); // (old height, width, c)
    Filter filter = Filter.of(image.height(), height);
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

  private static float[] resizeRows(Bitmap image, Filter filter, int width) {
    int channels = image.channels();
    float[] rows = new float[image.height() * width * channels];
    for (int y = 0; y < image.height(); y++) {
      for (int x = 0; x < width; x++) {
        float[] weights = filter.weights[x];
        for (int channel = 0; channel < channels; channel++) {
          int from = (y * image.width() + filter.first[x]) * channels + channel;
          float sum = 0;
          for (int j = 0; j < weights.length; j++) {
            sum += weights[j] * (image.pixels()[from + j * channels] & 0xFF);
          }
          rows[(y * width + x) * channels + channel] = sum;
        }
      }
    }
    return rows;
  }
}
