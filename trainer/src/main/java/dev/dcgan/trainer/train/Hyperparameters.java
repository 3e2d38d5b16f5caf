package dev.dcgan.trainer.train;

/**
 * What training does with the networks.
 *
 * @param epochs passes over the data, 1 or more
 * @param batchSize images a step, 2 or more: batch normalisation needs a batch
 * @param learningRate Adam's, of both networks
 * @param beta1 Adam's decay of the first moment, 0 to 1
 * @param beta2 Adam's decay of the second moment, 0 to 1
 * @param seed of everything random: first weights, noise, order of the data
 */
public record Hyperparameters(
    int epochs, int batchSize, float learningRate, float beta1, float beta2, long seed) {

  public Hyperparameters {
    if (epochs < 1 || batchSize < 2) {
      throw new IllegalArgumentException(
          "%d epochs of batches of %d: expected 1 or more, and 2 or more"
              .formatted(epochs, batchSize));
    }
    if (!(learningRate > 0) || !(beta1 >= 0 && beta1 < 1) || !(beta2 >= 0 && beta2 < 1)) {
      throw new IllegalArgumentException(
          "learning rate %s, betas %s and %s: expected above 0, and 0 to below 1"
              .formatted(learningRate, beta1, beta2));
    }
  }
}
