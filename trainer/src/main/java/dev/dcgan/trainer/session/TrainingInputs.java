package dev.dcgan.trainer.session;

import dev.dcgan.model.ImageShape;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.data.DatasetOptions;
import dev.dcgan.trainer.data.DatasetSample;
import dev.dcgan.trainer.data.DatasetSplit;
import dev.dcgan.trainer.data.Datasets;
import dev.dcgan.trainer.data.digits.DigitsDataset;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a run needs of the machine: a device and the images. */
public record TrainingInputs(TrainingDevice device, DatasetSplit images) implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(TrainingInputs.class);

  /**
   * Opens the images that a complete config names.
   *
   * @param root the folder of relative paths
   * @param scratch the folder for decoded images that do not fit in memory
   * @param onProgress called for each image that was read
   */
  public static DatasetSplit openImages(
      RunConfig config, ImageShape shape, Path root, Path scratch, Runnable onProgress)
      throws IOException {
    if (!config.getDataset().isEmpty()) {
      return DigitsDataset.split(config.getImages(), config.getSeed());
    }
    DatasetOptions defaults = DatasetOptions.defaults();
    return Datasets.open(
        root.resolve(config.getData()),
        shape,
        new DatasetOptions(
            config.getHeldOut(),
            config.hasChannels(),
            config.hasMaxUnreadable()
                ? OptionalInt.of(config.getMaxUnreadable())
                : OptionalInt.empty(),
            defaults.memoryBytes(),
            scratch),
        onProgress);
  }

  /**
   * Completes a config that names no preset by what its images need, and logs the choice. If they
   * cannot be read, the config stays as it is: opening them says why.
   *
   * @param root the folder of relative paths
   * @param cache the folder for scratch files
   */
  public static RunConfig withPreset(RunConfig requested, Path root, Path cache) {
    if (!TrainingConfig.choosesPreset(requested) || requested.getData().isEmpty()) {
      return requested;
    }
    try {
      DatasetSample found = Datasets.sample(root.resolve(requested.getData()), cache);
      ImageShape images = found.shape();
      int count =
          found.trainingImages(TrainingConfig.withDataDefaults(requested.toBuilder()).getHeldOut());
      RunConfig config = TrainingConfig.followImages(requested, images, count, found.classes());
      int side = Math.max(images.height(), images.width());
      log.info(
          "--preset {} --epochs {}{}{}{} for {} training images, {} and {}{}; name a --preset to choose another",
          config.getPreset(),
          config.getEpochs(),
          config.hasSize()
              ? " --size %d --channels %d".formatted(config.getSize(), config.getChannels())
              : "",
          config.getConditional() ? " --conditional" : "",
          config.getAugment().isEmpty() ? "" : " --augment " + config.getAugment(),
          count,
          images.channels() == 3 ? "RGB" : "grey",
          side < 64 ? "at most %1$dx%1$d".formatted(side) : "64x64 or larger",
          classes(requested, config, found.classes()));
      return config;
    } catch (IOException e) {
      log.debug("cannot look at {}", requested.getData(), e);
      return requested;
    }
  }

  private static String classes(RunConfig requested, RunConfig config, int classes) {
    if (classes < 2 || requested.hasConditional()) {
      return "";
    }
    return config.getConditional()
        ? ", of %d classes (--no-conditional leaves them out)".formatted(classes)
        : "; they have %d classes: with --conditional each can be asked for".formatted(classes);
  }

  /** Closes the images; a failure is logged, for it changes nothing about the run. */
  @Override
  public void close() {
    try {
      images.close();
    } catch (IOException e) {
      log.warn("cannot close the images: {}", ErrorMessages.oneLine(e));
    }
  }
}
