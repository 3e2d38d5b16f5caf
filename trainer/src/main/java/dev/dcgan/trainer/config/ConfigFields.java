package dev.dcgan.trainer.config;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.trainer.config.ConfigField.Check;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** All fields of a run's config, in the order of the help. */
public final class ConfigFields {

  static final String DIGITS = "digits";
  static final String FRESH = "fresh";
  static final String SHARED = "shared";
  private static final List<String> ON_COLLAPSE = List.of("warn", "stop");
  private static final List<String> FEATURES_RANGES = List.of("signed", "unit", "byte", "imagenet");
  private static final Check PATH =
      (value, preset) ->
          value.toString().isBlank()
              ? Optional.of("'%s': expected a path, found none".formatted(value))
              : Optional.empty();

  /** Every field of the config. */
  public static final List<ConfigField> ALL =
      List.of(
          field(
              "data",
              "PATH",
              "Training images: a folder of IDX files (as MNIST has) or one such file, a folder of"
                  + " images, CIFAR-10's binary batches, or a zip, tar or tar.gz of images.",
              PATH),
          field(
              "dataset",
              "NAME",
              "Images that need no files: digits, which the program draws. Used without --data.",
              oneOf(DIGITS::equals, DIGITS)),
          field("images", "N", "Number of digits to draw.", range(2, 1_000_000))
              .withDefaultText("20000"),
          field(
                  "held_out",
                  "FRACTION",
                  "Fraction of images held out for evaluation if the dataset has no test split.",
                  below(0.5f))
              .withDefault(0.1f),
          field(
                  "max_unreadable",
                  "N",
                  "Number of unreadable files to tolerate and skip.",
                  range(0, Integer.MAX_VALUE))
              .withDefaultText("one in 100, at least 1"),
          field(
                  "evaluation_images",
                  "N",
                  "Number of generated images per evaluation.",
                  range(100, 100_000))
              .withDefault(5000),
          field(
              "features",
              "FILE",
              "An ONNX model whose features evaluation uses, in place of a classifier that is"
                  + " trained on the labels.",
              PATH),
          field(
                  "features_range",
                  "RANGE",
                  "Input values of the --features model: signed ([-1, 1]), unit ([0, 1]), byte ([0,"
                      + " 255]) or imagenet ([0, 1], normalized by ImageNet's mean and standard"
                      + " deviation).",
                  oneOf(FEATURES_RANGES::contains, String.join(", ", FEATURES_RANGES)))
              .withDefaultText("that of the model's metadata, else signed, or byte for uint8"),
          field(
                  "preset",
                  "NAME",
                  "auto (by the images), mnist28 (the article's recipe), mnist28-fast (better in"
                      + " fewer epochs), paper64 (Radford et al. 2015) or photo64 (a few hundred to"
                      + " some thousand photos).",
                  PATH)
              .withDefault(preset -> preset.label)
              .withDefaultText("auto"),
          field(
                  "conditional",
                  "",
                  "Train a conditional model, which generates images of a given class. The images"
                      + " must have labels.",
                  PATH)
              .withDefaultText(
                  "no; without --preset yes, if there are 500 training images of each class on"
                      + " average"),
          field(
              "init_from",
              "CHECKPOINT",
              "Start from these weights of both networks, with fresh optimizers: a checkpoint file,"
                  + " a run (its newest checkpoint) or a published model (its run).",
              PATH),
          field(
                  "size",
                  "PIXELS",
                  "Side of the images of paper64 and photo64: 32, 64 or 128.",
                  ConfigFields::size)
              .withDefault(preset -> preset.isPaper() ? 64 : 28)
              .withDefaultText("64, or 32 without --preset for images smaller than 48x48"),
          field(
                  "channels",
                  "N",
                  "Channels of the images of paper64 and photo64: 1 (grey) or 3 (RGB). If given,"
                      + " images of the other kind are converted.",
                  ConfigFields::channels)
              .withDefaultText("3, or without --preset that of the images"),
          field("latent", "N", "Length of the latent vector z.", range(1, 1024))
              .withDefault(preset -> preset.latent),
          field("width", "N", "Base number of generator channels (ngf).", range(4, 512))
              .withDefault(preset -> preset.width),
          field("epochs", "N", "Number of training epochs.", range(1, 100_000))
              .withDefault(preset -> preset.epochs),
          field("batch_size", "N", "Images per batch.", range(2, 65_536))
              .withDefault(preset -> preset.batchSize),
          field(
                  "learning_rate",
                  "RATE",
                  "Adam's learning rate of both networks.",
                  ConfigFields::rate)
              .withDefaultText("the preset's"),
          field(
                  "generator_learning_rate",
                  "RATE",
                  "Learning rate of the generator.",
                  ConfigFields::rate)
              .withDefault(preset -> preset.generatorLearningRate)
              .withDefaultText("that of --learning-rate"),
          field(
                  "discriminator_learning_rate",
                  "RATE",
                  "Learning rate of the discriminator.",
                  ConfigFields::rate)
              .withDefault(preset -> preset.discriminatorLearningRate)
              .withDefaultText("that of --learning-rate"),
          field(
                  "learning_rate_decay",
                  "FRACTION",
                  "The part of the training, at its end, in which both learning rates fall linearly"
                      + " to 0: 0 (never) to 1 (from the first step on). A run that is continued"
                      + " with more --epochs starts from a higher rate again.",
                  (value, preset) ->
                      require(
                          (float) value >= 0 && (float) value <= 1,
                          "%s: expected 0 to 1".formatted(value)))
              .withDefault(preset -> preset.extensions.learningRateDecay()),
          field("beta1", "DECAY", "Adam's decay rate of the first moment.", below(1))
              .withDefault(0.5f),
          field("beta2", "DECAY", "Adam's decay rate of the second moment.", below(1))
              .withDefault(0.999f),
          field(
                  "label_smoothing",
                  "S",
                  "One-sided label smoothing: the target for real images is 1 - S.",
                  below(0.5f))
              .withDefault(0f)
              .withDefaultText("0"),
          field(
                  "ema_decay",
                  "DECAY",
                  "Decay per step of the exponential moving average of the generator's weights,"
                      + " which is published; 0: no average.",
                  below(1))
              .withDefault(preset -> preset.emaDecay),
          field(
                  "discriminator_steps",
                  "N",
                  "Discriminator updates per generator update (n_critic).",
                  range(1, 100))
              .withDefault(1),
          field(
                  "fakes",
                  "WHICH",
                  "fresh: the generator's update has fakes of its own, as in the article; shared:"
                      + " those of the discriminator's update, which saves a forward pass.",
                  oneOf(List.of(FRESH, SHARED)::contains, "fresh or shared"))
              .withDefault(preset -> preset.extensions.sharedFakes() ? SHARED : FRESH),
          field(
                  "mirror",
                  "",
                  "Mirror each training image left to right with probability 1/2, at random in each"
                      + " epoch. For images that are as good mirrored; not for letters and digits.",
                  PATH)
              .withDefault(preset -> preset.extensions.mirror())
              .withDefaultText("no; photo64: yes"),
          field(
                  "augment",
                  "POLICIES",
                  "Differentiable augmentation of real and generated images (DiffAugment, Zhao et"
                      + " al. 2020), for small datasets: none, diffaugment (all), or some of"
                      + " color,translation,cutout.",
                  oneOf(value -> Augmentation.parse(value).isPresent(), Augmentation.NAMES))
              .withDefault(Augmentation.NONE)
              .withDefaultText("none; without --preset diffaugment from 600 epochs on"),
          field(
                  "seed",
                  "SEED",
                  "Random seed for weight initialization, latent noise and shuffling.",
                  PATH)
              .withDefault(1L),
          field(
                  "device",
                  "DEVICE",
                  "auto, cpu, cuda or cuda:N; auto is cuda if it works, else cpu.",
                  oneOf(TrainingDevice::isChoice, TrainingDevice.CHOICES))
              .withDefault("auto")
              .withDefaultText("auto, or the service's"),
          field(
                  "precision",
                  "PRECISION",
                  "fp32, or tf32 to allow TF32 tensor-core math on CUDA (faster, 10-bit mantissa)."
                      + " No effect on the CPU.",
                  oneOf(value -> Precision.named(value).isPresent(), Precision.labels()))
              .withDefault(Precision.FP32.label()),
          field(
                  "deterministic",
                  "",
                  "On CUDA, use deterministic algorithms only (slower): the same weights on the same"
                      + " GPU model, driver and libraries. The CPU is always deterministic.",
                  PATH)
              .withDefault(false)
              .withDefaultText("no"),
          field(
                  "evaluate_every",
                  "EPOCHS",
                  "Epochs between evaluations; 0: only when a model is published.",
                  range(0, 100_000))
              .withDefault(0),
          field(
                  "on_collapse",
                  "ACTION",
                  "What to do on mode collapse: warn or stop.",
                  oneOf(ON_COLLAPSE::contains, "warn or stop"))
              .withDefault("warn"),
          field(
                  "checkpoint_every",
                  "STEPS",
                  "Steps between checkpoints in addition to those at each epoch's end; 0: none.",
                  range(0, Integer.MAX_VALUE))
              .withDefault(0),
          field(
                  "keep_checkpoints",
                  "N",
                  "Number of newest checkpoints to keep, beside the best.",
                  range(1, 1000))
              .withDefault(2),
          field(
                  "model",
                  "NAME",
                  "The name to publish under.",
                  oneOf(ModelRepository::isName, ModelRepository.NAME_RULE))
              .withDefault(preset -> preset.label),
          field(
                  "publish",
                  "WHEN",
                  "last, best (whenever quality improves), every N (epochs), or never.",
                  oneOf(
                      value -> PublishPolicy.parse(value).isPresent(),
                      "last, best, never, or 'every N'"))
              .withDefault("last"));

  private ConfigFields() {}

  private static ConfigField field(String name, String label, String help, Check check) {
    return new ConfigField(name, label, help, "", preset -> null, check);
  }

  private static Check range(long min, long max) {
    return (value, preset) -> {
      long given = ((Number) value).longValue();
      // The wire's numbers are unsigned: what is too large for an int arrives negative.
      long found = given < 0 ? given & 0xFFFFFFFFL : given;
      return require(
          found >= min && found <= max, "%d: expected %d to %d".formatted(found, min, max));
    };
  }

  private static Check below(float limit) {
    return (value, preset) ->
        require(
            (float) value >= 0 && (float) value < limit,
            "%s: expected 0 to below %s".formatted(value, limit));
  }

  private static Check oneOf(Predicate<String> isValid, String expected) {
    return (value, preset) ->
        require(isValid.test((String) value), "'%s': expected %s".formatted(value, expected));
  }

  private static Optional<String> rate(Object value, Preset preset) {
    return require(
        (float) value > 0 && Float.isFinite((float) value),
        "%s: expected a number above 0".formatted(value));
  }

  private static Optional<String> size(Object value, Preset preset) {
    long size = (int) value & 0xFFFFFFFFL;
    return preset.isPaper()
        ? require(
            Architecture.PAPER_SIZES.contains((int) value),
            "%d: expected one of %s".formatted(size, Architecture.PAPER_SIZES))
        : require(
            size == 28,
            "%d: %s generates 28x28; use --preset paper64 or photo64 for other sizes"
                .formatted(size, preset.label));
  }

  private static Optional<String> channels(Object value, Preset preset) {
    long channels = (int) value & 0xFFFFFFFFL;
    return preset.isPaper()
        ? require(
            channels == 1 || channels == 3, "%d: expected 1 (grey) or 3 (RGB)".formatted(channels))
        : require(
            channels == 1,
            "%d: %s generates grey images; use --preset paper64 or photo64 for RGB"
                .formatted(channels, preset.label));
  }

  private static Optional<String> require(boolean isValid, String problem) {
    return isValid ? Optional.empty() : Optional.of(problem);
  }
}
