package dev.dcgan.trainer.config;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A run's config, complete and valid.
 *
 * @param config with every field set, except those whose absence means something
 * @param architecture of the networks; without classes until {@link #withClasses} adds them
 */
public record TrainingConfig(
    RunConfig config,
    Architecture architecture,
    Hyperparameters hyperparameters,
    PublishPolicy publish) {

  private static final String AUTO = "auto";

  // With 500 MNIST images of each a conditional model has the smaller distance; with 100 it has
  // not, and it memorizes them sooner (README).
  private static final int MIN_IMAGES_PER_CLASS = 500;

  // 100 MNIST images are memorized after 600 epochs without DiffAugment, and after 1,200 the
  // distance
  // is smaller with it; in 60 or fewer it costs quality (README).
  private static final int MIN_EPOCHS_TO_AUGMENT = 600;

  /**
   * Completes a config with the defaults of {@link ConfigFields}, and checks all of it.
   *
   * @throws InvalidConfigException with every violation
   */
  public static TrainingConfig of(RunConfig requested) throws InvalidConfigException {
    List<ConfigViolation> wrong = new ArrayList<>();
    String presetName =
        choosesPreset(requested) ? Preset.of(requested).label : requested.getPreset();
    Optional<Preset> named = Preset.named(presetName);
    if (named.isEmpty()) {
      wrong.add(
          new ConfigViolation(
              "preset", "'%s': expected one of %s".formatted(presetName, Preset.labels())));
    }
    Preset preset = named.orElse(Preset.MNIST28);
    RunConfig config = complete(requested.toBuilder().setPreset(presetName).build(), preset);
    check(requested, config, preset, wrong);
    if (!wrong.isEmpty()) {
      throw new InvalidConfigException(wrong);
    }
    int channels = config.hasChannels() ? config.getChannels() : preset.isPaper() ? 3 : 1;
    return new TrainingConfig(
        config,
        preset.architecture(config.getSize(), channels, config.getLatent(), config.getWidth()),
        new Hyperparameters(
            config.getEpochs(),
            config.getBatchSize(),
            config.getGeneratorLearningRate(),
            config.getDiscriminatorLearningRate(),
            config.getBeta1(),
            config.getBeta2(),
            config.getLabelSmoothing(),
            config.getEmaDecay(),
            config.getDiscriminatorSteps(),
            config.getSeed(),
            Precision.named(config.getPrecision()).orElseThrow(),
            config.getDeterministic(),
            new Extensions(
                config.getMirror(),
                Augmentation.parse(config.getAugment()).orElseThrow(),
                config.getFakes().equals(ConfigFields.SHARED),
                config.getLearningRateDecay())),
        PublishPolicy.parse(config.getPublish()).orElseThrow());
  }

  /** Whether a config leaves the preset to the program: it names none, or {@code auto}. */
  public static boolean choosesPreset(RunConfig requested) {
    return requested.getPreset().isEmpty() || requested.getPreset().equals(AUTO);
  }

  /**
   * Chooses the preset of a config by the images, unless it names one: {@code mnist28-fast} for
   * grey images up to 28x28, otherwise {@code photo64}, whose size is 32 for images smaller than
   * 48x48 and otherwise 64; classes, if there are 500 training images of each on average; as many
   * epochs as give the preset's number of steps; and DiffAugment for 600 epochs and more. What the
   * config sets, and options that only one of the presets has, come first.
   *
   * @param images the shape of the largest image
   * @param count the number of training images, without those held out
   * @param classes the number of their classes; 0 without labels
   */
  public static RunConfig followImages(
      RunConfig requested, ImageShape images, int count, int classes) {
    if (!choosesPreset(requested)) {
      return requested;
    }
    int side = Math.max(images.height(), images.width());
    boolean isGeneral =
        Preset.of(requested).isPaper() || images.channels() == 3 || side > Architecture.MNIST_SIZE;
    Preset preset =
        isGeneral && requested.getSize() != Architecture.MNIST_SIZE
            ? Preset.PHOTO64
            : Preset.MNIST28_FAST;
    RunConfig.Builder config = requested.toBuilder().setPreset(preset.label);
    if (preset.isPaper()) {
      if (!requested.hasSize()) {
        config.setSize(side < 48 ? 32 : 64);
      }
      if (!requested.hasChannels()) {
        config.setChannels(images.channels());
      }
    }
    // Weights that the training starts from say themselves whether they have classes.
    if (!requested.hasConditional()
        && requested.getInitFrom().isEmpty()
        && classes > 1
        && count >= (long) classes * MIN_IMAGES_PER_CLASS) {
      config.setConditional(true);
    }
    if (!requested.hasEpochs()) {
      int batchSize = requested.hasBatchSize() ? requested.getBatchSize() : preset.batchSize;
      config.setEpochs(preset.epochs(count, batchSize, config.getConditional()));
    }
    if (requested.getAugment().isEmpty() && config.getEpochs() >= MIN_EPOCHS_TO_AUGMENT) {
      config.setAugment(Augmentation.ALL);
    }
    return config.build();
  }

  /** As {@link #followImages}, for the images that a recorded config was completed for. */
  public static RunConfig followRecord(RunConfig requested, RunConfig recorded) {
    if (!choosesPreset(requested)) {
      return requested;
    }
    RunConfig.Builder config = requested.toBuilder().setPreset(recorded.getPreset());
    if (!requested.hasSize() && recorded.hasSize()) {
      config.setSize(recorded.getSize());
    }
    if (!requested.hasChannels() && recorded.hasChannels()) {
      config.setChannels(recorded.getChannels());
    }
    // Drawn digits never choose these.
    if (!requested.getData().isEmpty()) {
      if (!requested.hasConditional() && recorded.getConditional()) {
        config.setConditional(true);
      }
      if (requested.getAugment().isEmpty()) {
        config.setAugment(recorded.getAugment());
      }
    }
    if (!requested.hasEpochs() && recorded.hasEpochs()) {
      config.setEpochs(recorded.getEpochs());
    }
    return config.build();
  }

  /** Whether the model is conditional. */
  public boolean isConditional() {
    return config.getConditional();
  }

  /**
   * The config of a conditional run whose images are known; that of any other run is returned as it
   * is.
   *
   * @param classes the number of classes, 2 or more
   */
  public TrainingConfig withClasses(int classes) {
    return isConditional()
        ? new TrainingConfig(config, architecture.withClasses(classes), hyperparameters, publish)
        : this;
  }

  /** Whether the generator is evaluated after so many epochs. */
  public boolean measuresAfter(int epoch) {
    int every = config.getEvaluateEvery();
    if (every > 0 && epoch % every == 0) {
      return true;
    }
    return publish.kind() == PublishPolicy.Kind.BEST
        ? every == 0 || epoch == hyperparameters.epochs()
        : publishesAfter(epoch);
  }

  /** Whether the generator is published after so many epochs, whatever its quality. */
  public boolean publishesAfter(int epoch) {
    boolean last = epoch == hyperparameters.epochs();
    return switch (publish.kind()) {
      case LAST -> last;
      case EVERY -> last || epoch % publish.every() == 0;
      case BEST, NEVER -> false;
    };
  }

  /**
   * Why to expect little of this run; empty: nothing speaks against it.
   *
   * @param images that it is trained on
   */
  public List<String> warnings(int images) {
    long steps = (long) hyperparameters.epochs() * hyperparameters.stepsPerEpoch(images);
    return TrainingBudget.warnings(architecture, hyperparameters, steps, images);
  }

  /** The memory that the decoded images take at most; bytes. */
  public long imageBytes() {
    if (!config.getDataset().equals(ConfigFields.DIGITS)) {
      return Runtime.getRuntime().maxMemory() / 4; // More go to a scratch file.
    }
    // One array each; as many again are held out, up to 10,000.
    long images = config.getImages() + Math.min(config.getImages(), 10_000L);
    return images * (architecture.shape().values() + 24L);
  }

  /** What the run needs of the machine. */
  public ResourceEstimate resources() {
    return ResourceEstimate.of(architecture, hyperparameters);
  }

  /**
   * Requires room for the checkpoints of a new run.
   *
   * @param images that it is trained on
   * @throws IOException there is not enough; the message has both sizes
   */
  public void requireDisk(Path checkpoints, int images) throws IOException {
    long epochs = hyperparameters.epochs();
    int every = config.getCheckpointEvery();
    long written =
        every == 0
            ? epochs
            : Math.max(epochs, epochs * hyperparameters.stepsPerEpoch(images) / every);
    resources().requireDisk(checkpoints, config.getKeepCheckpoints(), written);
  }

  private static RunConfig complete(RunConfig requested, Preset preset) {
    RunConfig.Builder config = requested.toBuilder().clearLearningRate();
    if (!requested.getConditional()) {
      config.clearConditional();
    }
    if (requested.hasLearningRate()) {
      if (!requested.hasGeneratorLearningRate()) {
        config.setGeneratorLearningRate(requested.getLearningRate());
      }
      if (!requested.hasDiscriminatorLearningRate()) {
        config.setDiscriminatorLearningRate(requested.getLearningRate());
      }
    }
    ConfigFields.ALL.forEach(field -> field.complete(config, preset));
    return withDataDefaults(config);
  }

  /** Completes what says which images are used and how they are evaluated. */
  public static RunConfig withDataDefaults(RunConfig.Builder config) {
    if (config.getData().isEmpty() && config.getDataset().isEmpty()) {
      config.setDataset(ConfigFields.DIGITS);
    }
    if (!config.getDataset().isEmpty() && !config.hasImages()) {
      config.setImages(20_000);
    }
    for (ConfigField field : ConfigFields.ALL) {
      if (List.of("held_out", "evaluation_images", "seed").contains(field.name())) {
        field.complete(config, Preset.MNIST28);
      }
    }
    return config.build();
  }

  private static void check(
      RunConfig requested, RunConfig config, Preset preset, List<ConfigViolation> wrong) {
    if (!requested.getData().isEmpty() && !requested.getDataset().isEmpty()) {
      wrong.add(
          new ConfigViolation(
              "dataset",
              "'%s' beside data: expected one of them".formatted(requested.getDataset())));
    }
    if (config.getDataset().equals(ConfigFields.DIGITS) && preset.isPaper()) {
      wrong.add(
          new ConfigViolation("data", "none: %s needs images of your own".formatted(preset.label)));
    }
    // A wrong rate of both networks is named once, as it was given.
    RunConfig.Builder checked = config.toBuilder();
    if (requested.hasLearningRate()) {
      checked.setLearningRate(requested.getLearningRate());
      if (!requested.hasGeneratorLearningRate()) {
        checked.clearGeneratorLearningRate();
      }
      if (!requested.hasDiscriminatorLearningRate()) {
        checked.clearDiscriminatorLearningRate();
      }
    }
    RunConfig complete = checked.build();
    ConfigFields.ALL.forEach(field -> field.check(complete, preset, wrong));
  }
}
