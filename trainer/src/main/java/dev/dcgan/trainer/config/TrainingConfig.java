package dev.dcgan.trainer.config;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.v1.RunConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A run's config, complete and checked.
 *
 * @param config with every field set, but for those whose absence says something
 */
public record TrainingConfig(
    RunConfig config,
    Architecture architecture,
    Hyperparameters hyperparameters,
    PublishPolicy publish) {

  private static final String DIGITS = "digits";
  private static final List<String> ON_COLLAPSE = List.of("warn", "stop");

  /**
   * Fills in what the config leaves out, and checks all of it.
   *
   * @throws InvalidConfigException with every violation
   */
  public static TrainingConfig of(RunConfig asked) throws InvalidConfigException {
    List<ConfigViolation> wrong = new ArrayList<>();
    String presetName = asked.getPreset().isEmpty() ? Preset.MNIST28.label : asked.getPreset();
    Preset preset =
        Preset.named(presetName)
            .orElseGet(
                () -> {
                  wrong.add(
                      new ConfigViolation(
                          "preset",
                          "'%s': expected one of %s".formatted(presetName, Preset.labels())));
                  return Preset.MNIST28;
                });
    RunConfig config = complete(asked, preset);
    check(config, preset, asked, wrong);
    PublishPolicy publish = publishPolicy(config.getPublish(), wrong);
    if (!wrong.isEmpty()) {
      throw new InvalidConfigException(wrong);
    }
    return new TrainingConfig(
        config,
        preset.architecture(
            config.getSize(), channels(config, preset), config.getLatent(), config.getWidth()),
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
            config.getDeterministic()),
        publish);
  }

  /** Whether the generator's quality is measured after so many epochs. */
  public boolean measuresAfter(int epoch) {
    int every = config.getEvaluateEvery();
    if (every > 0 && epoch % every == 0) {
      return true;
    }
    return publish.kind() == PublishPolicy.Kind.BEST
        ? every == 0 || epoch == hyperparameters.epochs()
        : publishesAfter(epoch);
  }

  /** Whether the generator is published after so many epochs, however good it is. */
  public boolean publishesAfter(int epoch) {
    boolean last = epoch == hyperparameters.epochs();
    return switch (publish.kind()) {
      case LAST -> last;
      case EVERY -> last || epoch % publish.every() == 0;
      case BEST, NEVER -> false;
    };
  }

  /** The least that the run needs of the machine. */
  public ResourceEstimate resources() {
    return ResourceEstimate.of(architecture, hyperparameters);
  }

  /**
   * Requires room for the checkpoints of a new run.
   *
   * @param images that it learns from
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

  private static RunConfig complete(RunConfig asked, Preset preset) {
    RunConfig.Builder config =
        RunConfig.newBuilder()
            .setPreset(preset.label)
            .setLatent(preset.latent)
            .setWidth(preset.width)
            .setSize(preset.isPaper() ? 64 : 28)
            .setEpochs(preset.epochs)
            .setBatchSize(128)
            .setGeneratorLearningRate(
                asked.hasLearningRate() ? asked.getLearningRate() : preset.generatorLearningRate)
            .setDiscriminatorLearningRate(
                asked.hasLearningRate()
                    ? asked.getLearningRate()
                    : preset.discriminatorLearningRate)
            .setBeta1(0.5f)
            .setBeta2(0.999f)
            .setLabelSmoothing(0)
            .setEmaDecay(preset.emaDecay)
            .setDiscriminatorSteps(1)
            .setDevice("auto")
            .setPrecision(Precision.FP32.label())
            .setDeterministic(false)
            .setEvaluateEvery(0)
            .setOnCollapse("warn")
            .setCheckpointEvery(0)
            .setKeepCheckpoints(2)
            .setModel(preset.label)
            .setPublish("last");
    return withDataDefaults(config.mergeFrom(asked).clearLearningRate());
  }

  /** The config with all that says which pictures, and what quality is measured by. */
  public static RunConfig withDataDefaults(RunConfig.Builder config) {
    if (config.getData().isEmpty() && config.getDataset().isEmpty()) {
      config.setDataset(DIGITS);
    }
    if (!config.getDataset().isEmpty() && !config.hasImages()) {
      config.setImages(20_000);
    }
    if (!config.hasHeldOut()) {
      config.setHeldOut(0.1f);
    }
    if (!config.hasEvaluationImages()) {
      config.setEvaluationImages(5000);
    }
    if (!config.hasSeed()) {
      config.setSeed(1);
    }
    return config.build();
  }

  private static int channels(RunConfig config, Preset preset) {
    if (config.hasChannels()) {
      return config.getChannels();
    }
    return preset.isPaper() ? 3 : 1;
  }

  private static void check(
      RunConfig config, Preset preset, RunConfig asked, List<ConfigViolation> wrong) {
    require(
        asked.getData().isEmpty() || asked.getDataset().isEmpty(),
        "dataset",
        "'%s' beside data: expected one of them".formatted(asked.getDataset()),
        wrong);
    require(
        config.getDataset().isEmpty() || config.getDataset().equals(DIGITS),
        "dataset",
        "'%s': expected digits".formatted(config.getDataset()),
        wrong);
    require(
        !config.getDataset().equals(DIGITS) || !preset.isPaper(),
        "data",
        "none: %s learns from pictures of yours".formatted(preset.label),
        wrong);
    if (config.hasImages()) {
      range("images", config.getImages(), 2, 1_000_000, wrong);
    }
    fraction("held_out", config.getHeldOut(), 0.5f, wrong);
    range("max_unreadable", config.getMaxUnreadable(), 0, Integer.MAX_VALUE, wrong);
    if (preset.isPaper()) {
      require(
          Architecture.PAPER_SIZES.contains(config.getSize()),
          "size",
          "%d: expected one of %s".formatted(config.getSize(), Architecture.PAPER_SIZES),
          wrong);
      require(
          channels(config, preset) == 1 || channels(config, preset) == 3,
          "channels",
          "%d: expected 1 (grey) or 3 (RGB)".formatted(config.getChannels()),
          wrong);
    } else {
      require(
          config.getSize() == 28,
          "size",
          "%d: %s makes 28x28; preset paper64 has sizes".formatted(config.getSize(), preset.label),
          wrong);
      require(
          channels(config, preset) == 1,
          "channels",
          "%d: %s makes grey pictures; preset paper64 has channels"
              .formatted(config.getChannels(), preset.label),
          wrong);
    }
    range("latent", config.getLatent(), 1, 1024, wrong);
    range("width", config.getWidth(), 4, 512, wrong);
    range("epochs", config.getEpochs(), 1, 100_000, wrong);
    range("batch_size", config.getBatchSize(), 2, 65_536, wrong);
    if (asked.hasLearningRate()) {
      rate("learning_rate", asked.getLearningRate(), wrong);
    }
    if (asked.hasGeneratorLearningRate() || !asked.hasLearningRate()) {
      rate("generator_learning_rate", config.getGeneratorLearningRate(), wrong);
    }
    if (asked.hasDiscriminatorLearningRate() || !asked.hasLearningRate()) {
      rate("discriminator_learning_rate", config.getDiscriminatorLearningRate(), wrong);
    }
    fraction("beta1", config.getBeta1(), 1, wrong);
    fraction("beta2", config.getBeta2(), 1, wrong);
    fraction("label_smoothing", config.getLabelSmoothing(), 0.5f, wrong);
    fraction("ema_decay", config.getEmaDecay(), 1, wrong);
    range("discriminator_steps", config.getDiscriminatorSteps(), 1, 100, wrong);
    require(
        TrainingDevice.isChoice(config.getDevice()),
        "device",
        "'%s': expected %s".formatted(config.getDevice(), TrainingDevice.CHOICES),
        wrong);
    require(
        Precision.named(config.getPrecision()).isPresent(),
        "precision",
        "'%s': expected %s".formatted(config.getPrecision(), Precision.labels()),
        wrong);
    range("evaluate_every", config.getEvaluateEvery(), 0, 100_000, wrong);
    range("evaluation_images", config.getEvaluationImages(), 100, 100_000, wrong);
    require(
        ON_COLLAPSE.contains(config.getOnCollapse()),
        "on_collapse",
        "'%s': expected warn or stop".formatted(config.getOnCollapse()),
        wrong);
    range("checkpoint_every", config.getCheckpointEvery(), 0, Integer.MAX_VALUE, wrong);
    range("keep_checkpoints", config.getKeepCheckpoints(), 1, 1000, wrong);
    require(
        ModelRepository.isName(config.getModel()),
        "model",
        "'%s': expected %s".formatted(config.getModel(), ModelRepository.NAME_RULE),
        wrong);
  }

  private static PublishPolicy publishPolicy(String publish, List<ConfigViolation> wrong) {
    return switch (publish) {
      case "last" -> new PublishPolicy(PublishPolicy.Kind.LAST, 0);
      case "best" -> new PublishPolicy(PublishPolicy.Kind.BEST, 0);
      case "never" -> new PublishPolicy(PublishPolicy.Kind.NEVER, 0);
      default -> {
        if (publish.matches("every [1-9][0-9]{0,4}")) {
          yield new PublishPolicy(
              PublishPolicy.Kind.EVERY, Integer.parseInt(publish.substring("every ".length())));
        }
        wrong.add(
            new ConfigViolation(
                "publish", "'%s': expected last, best, never, or 'every N'".formatted(publish)));
        yield new PublishPolicy(PublishPolicy.Kind.NEVER, 0);
      }
    };
  }

  private static void range(String field, long value, long min, long max, List<ConfigViolation> wrong) {
    // The wire's numbers are unsigned: what is too large for an int arrives negative.
    long found = value < 0 ? value & 0xFFFFFFFFL : value;
    require(
        found >= min && found <= max,
        field,
        "%d: expected %d to %d".formatted(found, min, max),
        wrong);
  }

  private static void rate(String field, float value, List<ConfigViolation> wrong) {
    require(
        value > 0 && Float.isFinite(value),
        field,
        "%s: expected a number above 0".formatted(value),
        wrong);
  }

  private static void fraction(String field, float value, float below, List<ConfigViolation> wrong) {
    require(
        value >= 0 && value < below,
        field,
        "%s: expected 0 to below %s".formatted(value, below),
        wrong);
  }

  private static void require(
      boolean found, String field, String description, List<ConfigViolation> wrong) {
    if (!found) {
      wrong.add(new ConfigViolation(field, description));
    }
  }
}
