package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.Sha256;
import java.io.IOException;

/** Images of one shape, indexed from 0. Immutable and thread-safe. */
public interface ImageDataset {

  /** The dataset's name in manifests: {@code mnist}, {@code digits}. */
  String name();

  ImageShape shape();

  /** The number of images; at least 1. */
  int size();

  /** The number of classes; 0 if the images have no labels. */
  default int classes() {
    return 0;
  }

  /** The name of a class, from 0 to below {@link #classes}: its folder's, or its number. */
  default String className(int label) {
    return Integer.toString(label);
  }

  /** The label of image {@code index}, from 0 to below {@link #classes}; -1 without a label. */
  default int label(int index) {
    return -1;
  }

  /**
   * Copies image {@code index} to {@code target[offset ..]}: uint8, (height, width, channels).
   *
   * @throws IOException if it cannot be read; the message names the file
   */
  void copyPixels(int index, byte[] target, int offset) throws IOException;

  /**
   * Copies image {@code index} to {@code target[offset ..]} as a network's input: float32
   * (channels, height, width), normalized to [-1, 1] as (x / 255 - 0.5) / 0.5.
   *
   * @throws IOException see {@link #copyPixels}
   */
  default void copyNormalized(int index, float[] target, int offset) throws IOException {
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
   * The SHA-256 of all images' pixels in order, in lower-case hexadecimal. It identifies the images
   * whatever format they were stored in. Reads all images.
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
