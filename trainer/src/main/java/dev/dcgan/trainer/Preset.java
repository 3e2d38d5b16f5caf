package dev.dcgan.trainer;

import dev.dcgan.trainer.net.Architecture;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Named settings to start from.
 *
 * <p>{@link #MNIST28} is the article's recipe, to the letter; {@link #PAPER64} is that of Radford
 * et al. 2015.
 */
enum Preset {
  MNIST28("mnist28", 64, 128),
  PAPER64("paper64", 100, 128);

  final String label;
  final int latent;
  final int width;

  Preset(String label, int latent, int width) {
    this.label = label;
    this.latent = latent;
    this.width = width;
  }

  static Optional<Preset> named(String label) {
    return Stream.of(values()).filter(preset -> preset.label.equals(label)).findFirst();
  }

  /** Whether {@code size} and {@code channels} may be chosen. */
  boolean isPaper() {
    return this == PAPER64;
  }

  Architecture architecture(int size, int channels, int latent, int width) {
    return isPaper()
        ? Architecture.paper(size, channels, latent, width)
        : Architecture.mnist28(latent, width);
  }
}
