package dev.dcgan.trainer.eval;

import dev.dcgan.model.ImageShape;
import java.io.IOException;
import java.util.OptionalDouble;

/**
 * From pictures to a space in which near means alike.
 *
 * <p>For the thread that made it alone; holds native memory.
 */
public interface FeatureExtractor extends AutoCloseable {

  /** What a report calls the features: {@code classifier of mnist}. */
  String name();

  /** The share of held-out pictures that it classifies rightly, where it is a classifier. */
  default OptionalDouble accuracy() {
    return OptionalDouble.empty();
  }

  /**
   * The features of n pictures; each picture's depend on that picture alone.
   *
   * @param pixels uint8 (n, height, width, channels)
   * @throws IOException the extractor does not run, or makes features that are not finite
   */
  Features extract(byte[] pixels, int n, ImageShape shape) throws IOException;

  @Override
  void close();

  /** This one's features beside a classifier's probabilities; closing closes both. */
  default FeatureExtractor withClasses(FeatureExtractor classifier) {
    return new ClassifiedFeatures(this, classifier);
  }
}
