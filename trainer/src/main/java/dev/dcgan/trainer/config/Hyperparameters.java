package dev.dcgan.trainer.config;

import dev.dcgan.trainer.torch.Precision;
import java.util.Objects;

/**
 * The hyperparameters of training.
 *
 * @param epochs passes over the dataset, 1 or more
 * @param batchSize images per batch, 2 or more: batch normalization needs a batch
 * @param generatorLearningRate of Adam
 * @param discriminatorLearningRate of Adam
 * @param beta1 Adam's decay rate of the first moment, 0 to below 1
 * @param beta2 Adam's decay rate of the second moment, 0 to below 1
 * @param labelSmoothing one-sided label smoothing: the target for real images is 1 - labelSmoothing
 *     (Salimans et al. 2016, section 3.4); 0 to below 0.5
 * @param emaDecay decay per step of the generator's moving average (Yazıcı et al. 2019), less in
 *     the first steps; 0: no average
 * @param discriminatorSteps discriminator updates per generator update, n_critic (k in Goodfellow
 *     et al. 2014, algorithm 1); 1 or more
 * @param seed of weight initialization, latent noise and shuffling
 * @param precision of matrix products on a CUDA device
 * @param deterministic whether a CUDA device uses deterministic algorithms only
 * @param extensions what the recipe has beyond that of Radford et al. 2015
 */
public record Hyperparameters(
    int epochs,
    int batchSize,
    float generatorLearningRate,
    float discriminatorLearningRate,
    float beta1,
    float beta2,
    float labelSmoothing,
    float emaDecay,
    int discriminatorSteps,
    long seed,
    Precision precision,
    boolean deterministic,
    Extensions extensions) {

  public Hyperparameters {
    // Checkpoints of earlier versions have neither.
    precision = Objects.requireNonNullElse(precision, Precision.FP32);
    extensions = Objects.requireNonNullElse(extensions, Extensions.NONE);
    if (epochs < 1 || batchSize < 2 || discriminatorSteps < 1) {
      throw new IllegalArgumentException(
          "%d epochs of batches of %d, %d discriminator steps: expected 1 or more, 2 or more, 1 or more"
              .formatted(epochs, batchSize, discriminatorSteps));
    }
    requireRate(generatorLearningRate);
    requireRate(discriminatorLearningRate);
    requireRange("beta1", beta1, 1);
    requireRange("beta2", beta2, 1);
    requireRange("label smoothing", labelSmoothing, 0.5f);
    requireRange("EMA decay", emaDecay, 1);
  }

  /** In float32, without deterministic mode and extensions. */
  public Hyperparameters(
      int epochs,
      int batchSize,
      float generatorLearningRate,
      float discriminatorLearningRate,
      float beta1,
      float beta2,
      float labelSmoothing,
      float emaDecay,
      int discriminatorSteps,
      long seed) {
    this(
        epochs,
        batchSize,
        generatorLearningRate,
        discriminatorLearningRate,
        beta1,
        beta2,
        labelSmoothing,
        emaDecay,
        discriminatorSteps,
        seed,
        Precision.FP32,
        false,
        Extensions.NONE);
  }

  /** One learning rate for both networks, and nothing beyond the article's recipe. */
  public Hyperparameters(
      int epochs, int batchSize, float learningRate, float beta1, float beta2, long seed) {
    this(epochs, batchSize, learningRate, learningRate, beta1, beta2, 0, 0, 1, seed);
  }

  /**
   * The images of an epoch: all, or all but one if the last batch would have one image, because
   * batch normalization needs more. The order of each epoch decides which one is left out.
   */
  public int imagesPerEpoch(int images) {
    return images > batchSize && images % batchSize == 1 ? images - 1 : images;
  }

  /** Batches in an epoch; the last may be smaller, but has two images or more. */
  public int batchesPerEpoch(int images) {
    return ceilDiv(imagesPerEpoch(images), batchSize);
  }

  /** Steps in an epoch, of {@link #discriminatorSteps} batches each; the last may have fewer. */
  public int stepsPerEpoch(int images) {
    return ceilDiv(batchesPerEpoch(images), discriminatorSteps);
  }

  private static int ceilDiv(int a, int b) {
    return (a + b - 1) / b;
  }

  private static void requireRate(float rate) {
    if (!(rate > 0) || Float.isInfinite(rate)) {
      throw new IllegalArgumentException("learning rate " + rate + ": expected a number above 0");
    }
  }

  private static void requireRange(String what, float value, float below) {
    if (!(value >= 0 && value < below)) {
      throw new IllegalArgumentException(
          "%s %s: expected 0 to below %s".formatted(what, value, below));
    }
  }
}
