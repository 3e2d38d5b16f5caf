package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.data.ImageDataset;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.Random;

/** Helpers to read and convert images in batches. */
final class ImageBatches {

  private ImageBatches() {}

  /**
   * A permutation of 0..n-1 determined by the seed (Fisher-Yates), because datasets may be sorted
   * by class.
   */
  static int[] permutation(int n, long seed) {
    Random random = new Random(seed); // Random specifies its sequence.
    int[] order = new int[n];
    for (int i = 0; i < n; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  /**
   * Reads the images {@code order[first..first + n)}: uint8 (n, height, width, channels).
   *
   * @throws InterruptedIOException if the thread is interrupted, so that loops over many batches
   *     end
   */
  static byte[] pixels(ImageDataset data, int[] order, int first, int n) throws IOException {
    requireUninterrupted();
    int size = data.shape().values();
    byte[] pixels = new byte[n * size];
    for (int i = 0; i < n; i++) {
      data.copyPixels(order[first + i], pixels, i * size);
    }
    return pixels;
  }

  /** Fails if the thread is interrupted. */
  static void requireUninterrupted() throws InterruptedIOException {
    if (Thread.currentThread().isInterrupted()) {
      throw new InterruptedIOException("interrupted while reading images");
    }
  }

  /**
   * Converts uint8 (n, height, width, channels) to float32 (n, channels, height, width), [0, 255].
   */
  static float[] planes(byte[] pixels, int n, ImageShape shape) {
    if (pixels.length != n * shape.values()) {
      throw new IllegalArgumentException(
          "%d bytes for %d images of %s; expected %d"
              .formatted(pixels.length, n, shape, n * shape.values()));
    }
    int channels = shape.channels();
    int area = shape.height() * shape.width();
    float[] planes = new float[pixels.length];
    for (int image = 0; image < n; image++) {
      int start = image * shape.values();
      for (int c = 0; c < channels; c++) {
        for (int i = 0; i < area; i++) {
          planes[start + c * area + i] = pixels[start + i * channels + c] & 0xFF;
        }
      }
    }
    return planes;
  }
}
