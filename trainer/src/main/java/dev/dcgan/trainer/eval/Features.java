package dev.dcgan.trainer.eval;

import org.jspecify.annotations.Nullable;

/**
 * Features of images.
 *
 * @param values (images, features)
 * @param probabilities (images, classes), each row summing to 1; null without a classifier
 */
record Features(Matrix values, @Nullable Matrix probabilities) {

  Features {
    if (probabilities != null && probabilities.rows() != values.rows()) {
      throw new IllegalArgumentException(
          "probabilities of %d images; expected %d as there are features"
              .formatted(probabilities.rows(), values.rows()));
    }
  }

  /** The features of the first {@code count} images, or of all if there are fewer. */
  Features first(int count) {
    return new Features(
        values.first(count), probabilities == null ? null : probabilities.first(count));
  }
}
