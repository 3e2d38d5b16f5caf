package dev.dcgan.trainer.cli;

import dev.dcgan.trainer.config.InvalidConfigException;

import dev.dcgan.trainer.config.ConfigViolation;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.TextFormat;
import dev.dcgan.server.Validator;
import dev.dcgan.server.Uint64Converter;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.v1.RunConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** A run's config on the command line; each option is the wire's field of that name. */
public final class ConfigOptions {

  @Mixin private DataOptions data = new DataOptions();

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      description =
          "mnist28 (the article's recipe; the default), mnist28-fast (better in fewer epochs) or paper64"
              + " (Radford et al. 2015).")
  private @Nullable String preset;

  @Option(
      names = "--size",
      paramLabel = "PIXELS",
      description = "Side of paper64's pictures: 32, 64 or 128. Default: 64",
      converter = UnsignedConverter.class)
  private @Nullable Integer size;

  @Option(
      names = "--channels",
      paramLabel = "N",
      description =
          "Of paper64's pictures: 1 (grey) or 3 (RGB). Where given, others are converted. Default: 3",
      converter = UnsignedConverter.class)
  private @Nullable Integer channels;

  @Option(
      names = "--latent",
      paramLabel = "N",
      description = "Length of the latent z. Default: the preset's",
      converter = UnsignedConverter.class)
  private @Nullable Integer latent;

  @Option(
      names = "--width",
      paramLabel = "N",
      description =
          "Channels that the generator is multiples of; fewer are faster and coarser. Default: the preset's",
      converter = UnsignedConverter.class)
  private @Nullable Integer width;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Passes over the pictures. Default: the preset's",
      converter = UnsignedConverter.class)
  private @Nullable Integer epochs;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Pictures in a batch. Default: 128",
      converter = UnsignedConverter.class)
  private @Nullable Integer batchSize;

  @Option(
      names = "--learning-rate",
      paramLabel = "RATE",
      description = "Adam's, of both networks. Default: the preset's")
  private @Nullable Float learningRate;

  @Option(
      names = "--generator-learning-rate",
      paramLabel = "RATE",
      description = "Of the generator alone.")
  private @Nullable Float generatorLearningRate;

  @Option(
      names = "--discriminator-learning-rate",
      paramLabel = "RATE",
      description = "Of the discriminator alone.")
  private @Nullable Float discriminatorLearningRate;

  @Option(names = "--beta1", paramLabel = "DECAY", description = "Adam's first decay. Default: 0.5")
  private @Nullable Float beta1;

  @Option(
      names = "--beta2",
      paramLabel = "DECAY",
      description = "Adam's second decay. Default: 0.999")
  private @Nullable Float beta2;

  @Option(
      names = "--label-smoothing",
      paramLabel = "S",
      description = "Real pictures count as real with probability 1 - S. Default: the preset's")
  private @Nullable Float labelSmoothing;

  @Option(
      names = "--ema-decay",
      paramLabel = "DECAY",
      description =
          "Above 0: publish the average of the generator's weights, with this decay a step. Default: the preset's")
  private @Nullable Float emaDecay;

  @Option(
      names = "--discriminator-steps",
      paramLabel = "N",
      description = "The discriminator's for each one of the generator. Default: 1",
      converter = UnsignedConverter.class)
  private @Nullable Integer discriminatorSteps;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Of first weights, noise and order: the same seed, the same model. Default: 1",
      converter = Uint64Converter.class)
  private @Nullable Long seed;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "auto, cpu, cuda or cuda:N; auto is cuda where it works. Default: auto, or the service's")
  private @Nullable String device;

  @Option(
      names = "--precision",
      paramLabel = "PRECISION",
      description =
          "fp32 or tf32: whether a CUDA device may multiply on tensor cores with a 10-bit mantissa (faster)."
              + " No effect on the CPU. Default: fp32")
  private @Nullable String precision;

  @Option(
      names = "--deterministic",
      description =
          "On CUDA, use deterministic algorithms only (slower): the same weights on the same GPU model, driver and"
              + " libraries. The CPU always repeats. Default: no")
  private @Nullable Boolean deterministic;

  @Option(
      names = "--evaluate-every",
      paramLabel = "EPOCHS",
      description = "How often to measure quality; 0: when a model is published. Default: 0",
      converter = UnsignedConverter.class)
  private @Nullable Integer evaluateEvery;

  @Option(
      names = "--on-collapse",
      paramLabel = "ACTION",
      description = "warn or stop, when the generator collapses. Default: warn")
  private @Nullable String onCollapse;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "STEPS",
      description = "Checkpoints beside those at each epoch's end; 0: none. Default: 0",
      converter = UnsignedConverter.class)
  private @Nullable Integer checkpointEvery;

  @Option(
      names = "--keep-checkpoints",
      paramLabel = "N",
      description = "The newest to keep, beside the best. Default: 2",
      converter = UnsignedConverter.class)
  private @Nullable Integer keepCheckpoints;

  @Option(
      names = "--publish",
      paramLabel = "WHEN",
      description =
          "last, best (whenever quality improves), every N (epochs), or never. Default: last",
      arity = "1..2")
  private @Nullable List<String> publish;

  /** Adds a line for each option that is wrong, but for the model, which the caller checks. */
  void check(Validator problems) {
    data.check(problems);
    check(config(""), problems);
  }

  /**
   * Adds a line for each option that is wrong, of a run that a service is asked for; paths are for
   * the service to check.
   */
  public void checkForService(String model, Validator problems) {
    check(configForService(model), problems);
  }

  private static void check(RunConfig config, Validator problems) {
    try {
      TrainingConfig.of(config);
    } catch (InvalidConfigException e) {
      for (ConfigViolation violation : e.violations()) {
        problems.add(option(violation.field()) + " " + violation.description());
      }
    }
  }

  /**
   * In what a complete config differs from another: {@code --seed 2 (was 1)}, an option each; none
   * where they are the same.
   */
  static List<String> differences(RunConfig was, RunConfig is) {
    List<String> differences = new ArrayList<>();
    for (FieldDescriptor field : RunConfig.getDescriptor().getFields()) {
      String before = value(was, field);
      String now = value(is, field);
      if (!now.equals(before)) {
        differences.add("%s %s (was %s)".formatted(option(field.getName()), now, before));
      }
    }
    return differences;
  }

  private static String value(RunConfig config, FieldDescriptor field) {
    boolean given =
        field.hasPresence() ? config.hasField(field) : !config.getField(field).equals("");
    // "seed: 1", which knows that numbers are unsigned.
    return given
        ? TextFormat.printer()
            .printFieldToString(field, config.getField(field))
            .replaceFirst("^[^:]*: ", "")
            .strip()
        : "not given";
  }

  /** {@code --batch-size} of {@code batch_size}. */
  public static String option(String field) {
    return "--" + field.toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** As asked, without what the preset fills in. */
  RunConfig config(String model) {
    RunConfig.Builder config = RunConfig.newBuilder().setModel(model);
    data.addTo(config);
    return addTo(config);
  }

  /**
   * As a service is to be asked: paths as they were given.
   *
   * @param model empty: the preset's
   */
  public RunConfig configForService(String model) {
    RunConfig.Builder config = RunConfig.newBuilder().setModel(model);
    data.addTo(config, UnaryOperator.identity());
    return addTo(config);
  }

  private RunConfig addTo(RunConfig.Builder config) {
    if (preset != null) {
      config.setPreset(preset);
    }
    if (size != null) {
      config.setSize(size);
    }
    if (channels != null) {
      config.setChannels(channels);
    }
    if (latent != null) {
      config.setLatent(latent);
    }
    if (width != null) {
      config.setWidth(width);
    }
    if (epochs != null) {
      config.setEpochs(epochs);
    }
    if (batchSize != null) {
      config.setBatchSize(batchSize);
    }
    if (learningRate != null) {
      config.setLearningRate(learningRate);
    }
    if (generatorLearningRate != null) {
      config.setGeneratorLearningRate(generatorLearningRate);
    }
    if (discriminatorLearningRate != null) {
      config.setDiscriminatorLearningRate(discriminatorLearningRate);
    }
    if (beta1 != null) {
      config.setBeta1(beta1);
    }
    if (beta2 != null) {
      config.setBeta2(beta2);
    }
    if (labelSmoothing != null) {
      config.setLabelSmoothing(labelSmoothing);
    }
    if (emaDecay != null) {
      config.setEmaDecay(emaDecay);
    }
    if (discriminatorSteps != null) {
      config.setDiscriminatorSteps(discriminatorSteps);
    }
    if (seed != null) {
      config.setSeed(seed);
    }
    if (device != null) {
      config.setDevice(device);
    }
    if (precision != null) {
      config.setPrecision(precision);
    }
    if (deterministic != null) {
      config.setDeterministic(deterministic);
    }
    if (evaluateEvery != null) {
      config.setEvaluateEvery(evaluateEvery);
    }
    if (onCollapse != null) {
      config.setOnCollapse(onCollapse);
    }
    if (checkpointEvery != null) {
      config.setCheckpointEvery(checkpointEvery);
    }
    if (keepCheckpoints != null) {
      config.setKeepCheckpoints(keepCheckpoints);
    }
    if (publish != null) {
      config.setPublish(String.join(" ", publish));
    }
    return config.build();
  }
}
