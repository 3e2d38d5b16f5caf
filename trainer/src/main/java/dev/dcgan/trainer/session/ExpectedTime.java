package dev.dcgan.trainer.session;

import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import dev.dcgan.trainer.train.Benchmark;
import java.io.IOException;

/** How long a training will take, without evaluations. */
public final class ExpectedTime {

  // The first ones take longer than those that follow.
  private static final int STEPS = 3;

  private ExpectedTime() {}

  /**
   * Trains a few steps on noise and multiplies their time; in seconds.
   *
   * @throws IOException if PyTorch's library does not have the expected version
   */
  public static double seconds(TrainingInputs inputs, TrainingConfig given) throws IOException {
    ImageDataset images = inputs.images().training();
    TrainingConfig config =
        given.isConditional() ? given.withClasses(ImageLabels.of(images).classes().size()) : given;
    try (Benchmark benchmark =
        new Benchmark(inputs.device(), config.architecture(), config.hyperparameters(), false)) {
      return (double) config.hyperparameters().epochs()
          * config.hyperparameters().imagesPerEpoch(images.size())
          / benchmark.measure(STEPS).imagesPerSecond();
    }
  }
}
