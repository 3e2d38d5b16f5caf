package dev.dcgan.trainer.config;

import dev.dcgan.trainer.gan.Architecture;
import java.util.ArrayList;
import java.util.List;

/** Warns of trainings that are too short, or have too few images, for recognizable results. */
public final class TrainingBudget {

  // On MNIST (the table of the README) mnist28 has a recall of 0 and a Frechet distance of 43 after
  // 938 steps; untrained generators are above 100. mnist28-fast generates noise after 150 steps,
  // blobs after 300 and the first digits after 450. Larger images need more steps than digits.
  private static final long MIN_STEPS = 1000;
  private static final long MIN_STEPS_FAST = 450;

  // With fewer, the discriminator memorizes the images (Karras et al. 2020, figure 1).
  private static final int MIN_IMAGES = 1000;

  private static final int MIN_BATCH_SIZE = 16;

  private TrainingBudget() {}

  /**
   * What speaks against a result that is worth looking at, one line for each reason.
   *
   * @param steps generator updates, planned or done
   * @param images that the networks are trained on
   */
  public static List<String> warnings(
      Architecture architecture, Hyperparameters hyperparameters, long steps, int images) {
    List<String> warnings = new ArrayList<>();
    long minSteps =
        architecture.name().equals(Architecture.MNIST28_FAST) ? MIN_STEPS_FAST : MIN_STEPS;
    if (steps < minSteps) {
      int batchSize = hyperparameters.batchSize();
      warnings.add(
          "%d images at --batch-size %d give %d steps in %d epochs; expect nothing recognizable below about %d: use --epochs %d%s"
              .formatted(
                  images,
                  batchSize,
                  steps,
                  ceilDiv(steps, hyperparameters.stepsPerEpoch(images)),
                  minSteps,
                  ceilDiv(minSteps, hyperparameters.stepsPerEpoch(images)),
                  smallerBatches(hyperparameters, images, minSteps)));
    }
    if (images < MIN_IMAGES) {
      warnings.add(
          "%d images are few: below about %d the discriminator memorizes them; use more images%s"
              .formatted(
                  images,
                  MIN_IMAGES,
                  hyperparameters.extensions().augmentations().isEmpty()
                      ? ", or --augment diffaugment with more --epochs"
                      : ""));
    }
    return warnings;
  }

  /** The largest batches, of a power of two, that give enough steps in the same epochs. */
  private static String smallerBatches(Hyperparameters hyperparameters, int images, long minSteps) {
    int size = Integer.highestOneBit(hyperparameters.batchSize() - 1);
    for (; size >= MIN_BATCH_SIZE; size /= 2) {
      long steps =
          ceilDiv(ceilDiv(images, size), hyperparameters.discriminatorSteps())
              * hyperparameters.epochs();
      if (steps >= minSteps) {
        return " or --batch-size " + size;
      }
    }
    return "";
  }

  private static long ceilDiv(long a, long b) {
    return (a + b - 1) / b;
  }
}
