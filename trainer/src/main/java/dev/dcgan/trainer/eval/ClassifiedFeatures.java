package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import java.io.IOException;
import java.util.OptionalDouble;

/** The features of one extractor with the class probabilities of a classifier; closes both. */
record ClassifiedFeatures(FeatureExtractor features, FeatureExtractor classifier)
    implements FeatureExtractor {

  @Override
  public String name() {
    return features.name() + ", classes by " + classifier.name();
  }

  @Override
  public OptionalDouble accuracy() {
    return classifier.accuracy();
  }

  @Override
  public Features extract(byte[] pixels, int n, ImageShape shape) throws IOException {
    return new Features(
        features.extract(pixels, n, shape).values(),
        classifier.extract(pixels, n, shape).probabilities());
  }

  @Override
  public void close() {
    try (features;
        classifier) {
      // Closes both even if the first one fails.
    }
  }
}
