package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import java.io.IOException;
import java.util.OptionalDouble;

/**
 * Maps images to feature vectors whose distances measure similarity.
 *
 * <p>Only the thread that created it may use it. It holds native memory.
 */
interface FeatureExtractor extends AutoCloseable {

  /** The name of the feature space in reports: {@code classifier of mnist}. */
  String name();

  /** The accuracy on held-out images, if it is a classifier. */
  default OptionalDouble accuracy() {
    return OptionalDouble.empty();
  }

  /**
   * Computes the features of n images; each image's features depend on that image alone.
   *
   * @param pixels uint8 (n, height, width, channels)
   * @throws IOException if the extractor fails or its features are not finite
   */
  Features extract(byte[] pixels, int n, ImageShape shape) throws IOException;

  @Override
  void close();
}
