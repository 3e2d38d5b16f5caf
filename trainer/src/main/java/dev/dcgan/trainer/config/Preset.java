package dev.dcgan.trainer.config;

import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.v1.RunConfig;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Named defaults.
 *
 * <p>{@link #MNIST28} is exactly the article's recipe; {@link #MNIST28_FAST} reaches better quality
 * on the same data in fewer epochs, as measured (README); {@link #PAPER64} is the network of
 * Radford et al. 2015, {@link #PHOTO64} a narrower one for a few hundred to some thousand photos.
 */
public enum Preset {
  MNIST28("mnist28", 64, 128, 25, 128, 2e-4f, 2e-4f, 0, Extensions.NONE),
  MNIST28_FAST(
      "mnist28-fast",
      64,
      64,
      10,
      32,
      1e-3f,
      5e-4f,
      0.999f,
      new Extensions(false, Set.of(), true, 0.5f)),
  PAPER64("paper64", 100, 128, 25, 128, 2e-4f, 2e-4f, 0, Extensions.NONE),
  PHOTO64(
      "photo64", 100, 64, 100, 64, 2e-4f, 2e-4f, 0.999f, new Extensions(true, Set.of(), true, 0));

  private static final int MNIST_IMAGES = 60_000;

  public final String label;
  public final int latent;
  public final int width;
  final int epochs;
  final int batchSize;
  public final float generatorLearningRate;
  public final float discriminatorLearningRate;
  public final float emaDecay;

  @SuppressWarnings("ImmutableEnumChecker") // its set cannot be changed
  public final Extensions extensions;

  Preset(
      String label,
      int latent,
      int width,
      int epochs,
      int batchSize,
      float generatorLearningRate,
      float discriminatorLearningRate,
      float emaDecay,
      Extensions extensions) {
    this.label = label;
    this.latent = latent;
    this.width = width;
    this.epochs = epochs;
    this.batchSize = batchSize;
    this.generatorLearningRate = generatorLearningRate;
    this.discriminatorLearningRate = discriminatorLearningRate;
    this.emaDecay = emaDecay;
    this.extensions = extensions;
  }

  public static Optional<Preset> named(String label) {
    return Stream.of(values()).filter(preset -> preset.label.equals(label)).findFirst();
  }

  /** The preset of a config that names none, by its options alone. */
  static Preset of(RunConfig config) {
    boolean isPaper =
        (config.hasSize() && config.getSize() != Architecture.MNIST_SIZE)
            || config.getChannels() == 3;
    return isPaper ? PAPER64 : MNIST28;
  }

  /**
   * As many epochs of a dataset as give {@link #steps}, 3 or more.
   *
   * @param images the number of training images
   * @param batchSize images per batch
   * @param isConditional whether the networks have classes
   */
  int epochs(int images, int batchSize, boolean isConditional) {
    double stepsPerEpoch = Math.max(1.0, (double) images / batchSize);
    return (int) Math.max(3, Math.round(steps(isConditional) / stepsPerEpoch));
  }

  /** The steps after which a generator is good, whatever the number of images. */
  private double steps(boolean isConditional) {
    if (this == PHOTO64) {
      return 20_000;
    }
    // With classes half as many give better images (README).
    return (isConditional ? 0.5 : 1) * epochs * MNIST_IMAGES / batchSize;
  }

  /** The names of all presets, for messages. */
  public static String labels() {
    return Stream.of(values()).map(preset -> preset.label).collect(Collectors.joining(", "));
  }

  /** Whether {@code size} and {@code channels} may be chosen. */
  boolean isPaper() {
    return this == PAPER64 || this == PHOTO64;
  }

  public Architecture architecture(int size, int channels, int latent, int width) {
    return switch (this) {
      case MNIST28 -> Architecture.mnist28(latent, width);
      case MNIST28_FAST -> Architecture.mnist28Fast(latent, width);
      case PAPER64, PHOTO64 -> Architecture.paper(size, channels, latent, width);
    };
  }
}
