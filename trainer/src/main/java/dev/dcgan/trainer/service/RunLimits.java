package dev.dcgan.trainer.service;

import static dev.dcgan.trainer.config.ResourceEstimate.size;

import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.ResourceEstimate;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.RunConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What a run of the service may need; a run that needs more is refused.
 *
 * @param maxEpochs of a run
 * @param maxImages that a run draws
 * @param maxWidth the maximum base number of generator channels
 * @param maxBatchSize images per batch
 * @param maxEvaluationImages that an evaluation generates
 * @param maxAttempts the number of deaths of the process without a new checkpoint after which a run
 *     is FAILED
 * @param maxQueuedPerCaller queued runs of one caller; empty: no limit
 * @param maxRunsPerDay that one caller starts within 24 hours; empty: no limit
 * @param maxDiskPerCaller bytes that the folders of one caller's runs use, after which it starts no
 *     more; empty: no limit
 * @param keepRuns the newest ended runs that are kept; empty: all
 * @param keepDays the days that an ended run is kept; empty: for ever
 * @param hostMemory of this process, bytes; empty: unknown
 * @param gpuMemory bytes; empty: the service's device is no GPU, or it is unknown
 */
public record RunLimits(
    int maxEpochs,
    int maxImages,
    int maxWidth,
    int maxBatchSize,
    int maxEvaluationImages,
    int maxAttempts,
    OptionalInt maxQueuedPerCaller,
    OptionalInt maxRunsPerDay,
    OptionalLong maxDiskPerCaller,
    OptionalInt keepRuns,
    OptionalInt keepDays,
    OptionalLong hostMemory,
    OptionalLong gpuMemory) {

  // Of the classifier, and of usual models such as Inception and ResNet-50: how many another has is
  // known when it is open.
  private static final int CLASSIFIER_FEATURES = 128;
  private static final int MODEL_FEATURES = 2048;
  // Of generated and of as many real images, and while batches are joined once more.
  private static final int COPIES_OF_FEATURES = 3;

  /** The limits that the program has by default, for a service that knows no memory. */
  public static final RunLimits DEFAULT =
      new RunLimits(
          20_000,
          100_000,
          256,
          1024,
          50_000,
          3,
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalLong.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalLong.empty(),
          OptionalLong.empty());

  /** What of a config exceeds a limit, or cannot be trained. */
  List<ConfigViolation> violations(TrainingConfig config) {
    RunConfig fields = config.config();
    List<ConfigViolation> wrong = new ArrayList<>();
    require("epochs", fields.getEpochs(), maxEpochs, wrong);
    require("images", fields.hasImages() ? fields.getImages() : 0, maxImages, wrong);
    require("width", fields.getWidth(), maxWidth, wrong);
    require("batch_size", fields.getBatchSize(), maxBatchSize, wrong);
    require("evaluation_images", fields.getEvaluationImages(), maxEvaluationImages, wrong);
    if (wrong.isEmpty()) { // Otherwise other values are needed in any case.
      requireBatch(fields, wrong);
      requireMemory(config, wrong);
    }
    return wrong;
  }

  private static void require(String field, int found, int max, List<ConfigViolation> wrong) {
    if (found > max) {
      wrong.add(
          new ConfigViolation(
              field, "%d: expected at most %d, the limit of this service".formatted(found, max)));
    }
  }

  /** Requires that drawn images fill a batch; how many a folder has is found when it is read. */
  private static void requireBatch(RunConfig fields, List<ConfigViolation> wrong) {
    if (fields.hasImages() && fields.getBatchSize() > fields.getImages()) {
      wrong.add(
          new ConfigViolation(
              "batch_size",
              "%d: expected at most %d, the number of images"
                  .formatted(fields.getBatchSize(), fields.getImages())));
    }
  }

  private void requireMemory(TrainingConfig config, List<ConfigViolation> wrong) {
    ResourceEstimate estimate =
        (config.isConditional() ? config.withClasses(10) : config).resources();
    String device = config.config().getDevice();
    boolean onGpu =
        TrainingDevice.isAuto(device) ? gpuMemory.isPresent() : !device.startsWith("cpu");
    long images = config.imageBytes();
    long heap = Runtime.getRuntime().maxMemory();
    if (images > heap / 2) {
      wrong.add(
          new ConfigViolation(
              "images",
              "%d: need %s of the JVM's heap, which has %s; expected fewer"
                  .formatted(config.config().getImages(), size(images), size(heap))));
    }
    long evaluation = evaluationBytes(config.config());
    if (evaluation > heap / 4) {
      wrong.add(
          new ConfigViolation(
              "evaluation_images",
              "%d: their features need %s of the JVM's heap, which has %s; expected fewer"
                  .formatted(config.config().getEvaluationImages(), size(evaluation), size(heap))));
    }
    long host =
        evaluation + (onGpu ? estimate.hostPeakBytesOfGpu(images) : estimate.peakBytes(images));
    if (hostMemory.isPresent() && host > hostMemory.getAsLong()) {
      wrong.add(violation(config, "memory", host, hostMemory.getAsLong()));
    }
    if (onGpu && gpuMemory.isPresent() && estimate.gpuPeakBytes() > gpuMemory.getAsLong()) {
      wrong.add(violation(config, "GPU memory", estimate.gpuPeakBytes(), gpuMemory.getAsLong()));
    }
  }

  /** The features that an evaluation keeps; the rest of it takes less than a training step. */
  private static long evaluationBytes(RunConfig config) {
    long features = config.getFeatures().isEmpty() ? CLASSIFIER_FEATURES : MODEL_FEATURES;
    return features * COPIES_OF_FEATURES * config.getEvaluationImages() * Float.BYTES;
  }

  private static ConfigViolation violation(
      TrainingConfig config, String memory, long needed, long available) {
    return new ConfigViolation(
        "batch_size",
        "%d with width %d: needs about %s of %s, and the service has %s; expected a smaller batch_size or width"
            .formatted(
                config.config().getBatchSize(),
                config.config().getWidth(),
                size(needed),
                memory,
                size(available)));
  }
}
