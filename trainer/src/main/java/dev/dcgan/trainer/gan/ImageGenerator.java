package dev.dcgan.trainer.gan;

import java.io.IOException;

/**
 * Generates images from latents: a network in training, a checkpoint's or a published model.
 *
 * @param <T> the form of the images: {@code float[]} is (n, channels, height, width) in [-1, 1],
 *     {@code byte[]} is uint8 (n, height, width, channels)
 */
@FunctionalInterface
public interface ImageGenerator<T> {

  /**
   * Generates n images.
   *
   * @param latents (n, latentSize), row-major
   * @param labels (n), each the label of a class or a mixture of two; empty if the generator is not
   *     conditional
   * @return n images, row-major
   */
  T generate(float[] latents, long[] labels, int n) throws IOException;
}
