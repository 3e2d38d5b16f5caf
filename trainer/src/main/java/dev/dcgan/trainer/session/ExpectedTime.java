package dev.dcgan.trainer.session;

import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.train.Benchmark;
import java.io.IOException;

/** How long a training will take, without evaluations. */
public final class ExpectedTime {

  // The first ones take longer than those that follow.
  private static final int STEPS = 3;
  private static final int MAX_BATCHES_PER_STEP = 8;

  private ExpectedTime() {}

  /**
   * Trains a few steps on noise and multiplies their time; in seconds. With more than 8
   * discriminator updates per generator update it is a little too long: 8 are measured.
   *
   * @throws IOException if PyTorch's library does not have the expected version
   */
  public static double seconds(TrainingInputs inputs, TrainingConfig given) throws IOException {
    ImageDataset images = inputs.images().training();
    TrainingConfig config =
        given.isConditional() ? given.withClasses(ImageLabels.of(images).classes().size()) : given;
    Hyperparameters hyperparameters = config.hyperparameters();
    try (Benchmark benchmark =
        new Benchmark(
            inputs.device(),
            config.architecture(),
            hyperparameters,
            batchesPerStep(hyperparameters, images.size()),
            false)) {
      return (double) hyperparameters.epochs()
          * hyperparameters.imagesPerEpoch(images.size())
          / benchmark.imagesPerSecond(STEPS);
    }
  }

  /** The batches of a measured step: those of training, but not more than a few. */
  static int batchesPerStep(Hyperparameters hyperparameters, int images) {
    return Math.min(
        MAX_BATCHES_PER_STEP,
        Math.min(hyperparameters.discriminatorSteps(), hyperparameters.batchesPerEpoch(images)));
  }
}
