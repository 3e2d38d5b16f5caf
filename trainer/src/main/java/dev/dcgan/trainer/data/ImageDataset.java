package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Sha256;
import java.io.IOException;

/**
 * Pictures of one shape, numbered from 0.
 *
 * <p>Unchanging; any number of threads may read at once.
 */
public interface ImageDataset {

  /** What a manifest calls the pictures: {@code mnist}, {@code digits}. */
  String name();

  ImageShape shape();

  /** The number of pictures; at least 1. */
  int size();

  /** How many classes the labels tell apart; 0 where the pictures have no labels. */
  default int classes() {
    return 0;
  }

  /** The class of picture {@code index}, 0 to below {@link #classes}; -1 without labels. */
  default int label(int index) {
    return -1;
  }

  /**
   * Copies picture {@code index} to {@code target[offset ..]}: uint8, (height, width, channels).
   *
   * @throws IOException it cannot be read; the message names the file
   */
  void copyPixels(int index, byte[] target, int offset) throws IOException;

  /**
   * Copies picture {@code index} to {@code target[offset ..]} as a network takes it: (channels,
   * height, width), in [-1, 1], by the law (x / 255 - 0.5) / 0.5.
   *
   * @throws IOException see {@link #copyPixels}
   */
  default void copyNormalised(int index, float[] target, int offset) throws IOException {
    byte[] pixels = new byte[shape().values()];
    copyPixels(index, pixels, 0);
    int channels = shape().channels();
    int area = shape().height() * shape().width();
    for (int channel = 0; channel < channels; channel++) {
      for (int i = 0; i < area; i++) {
        int x = pixels[i * channels + channel] & 0xFF;
        target[offset + channel * area + i] = (x - 127.5f) / 127.5f;
      }
    }
  }

  /**
   * Lower-case hexadecimal SHA-256 over all pictures' pixels, in order: which pictures these are,
   * whatever form they came in. Reads them all.
   *
   * @throws IOException see {@link #copyPixels}
   */
  default String sha256() throws IOException {
    Sha256 digest = new Sha256();
    byte[] pixels = new byte[shape().values()];
    for (int i = 0; i < size(); i++) {
      copyPixels(i, pixels, 0);
      digest.add(pixels);
    }
    return digest.hex();
  }
}
