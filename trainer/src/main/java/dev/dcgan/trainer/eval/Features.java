package dev.dcgan.trainer.eval;

import org.jspecify.annotations.Nullable;

/**
 * What an extractor sees in some pictures.
 *
 * @param values (pictures, features)
 * @param probabilities (pictures, classes), each row summing to 1, where it is a classifier
 */
public record Features(Matrix values, @Nullable Matrix probabilities) {

  public Features {
    if (probabilities != null && probabilities.rows() != values.rows()) {
      throw new IllegalArgumentException(
          "probabilities of %d pictures beside features of %d"
              .formatted(probabilities.rows(), values.rows()));
    }
  }

  /** Of the first pictures, or of all where there are fewer. */
  Features first(int count) {
    return new Features(
        values.first(count), probabilities == null ? null : probabilities.first(count));
  }
}
