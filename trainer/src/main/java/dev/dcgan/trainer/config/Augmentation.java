package dev.dcgan.trainer.config;

import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A differentiable augmentation of real and generated images before the discriminator sees them
 * (DiffAugment, Zhao et al. 2020).
 */
public enum Augmentation {
  /** Random brightness, saturation and contrast. */
  COLOR,
  /** A random shift of up to an eighth of each side; what it uncovers is 0, the middle grey. */
  TRANSLATION,
  /** A square of half of each side, at a random place, becomes 0. */
  CUTOUT;

  /** The name of no augmentation. */
  static final String NONE = "none";

  /** The name of all three. */
  static final String ALL = "diffaugment";

  /** For messages: what {@link #parse} accepts. */
  static final String NAMES = "none, diffaugment, or some of color,translation,cutout";

  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The augmentations of {@code none}, {@code diffaugment} or a list with commas. */
  static Optional<Set<Augmentation>> parse(String text) {
    if (text.equals(NONE)) {
      return Optional.of(Set.of());
    }
    if (text.equals(ALL)) {
      return Optional.of(EnumSet.allOf(Augmentation.class));
    }
    Set<Augmentation> found = EnumSet.noneOf(Augmentation.class);
    for (String name : text.split(",", -1)) {
      Optional<Augmentation> named =
          Stream.of(values()).filter(each -> each.label().equals(name.strip())).findFirst();
      if (named.isEmpty() || !found.add(named.get())) {
        return Optional.empty();
      }
    }
    return Optional.of(found);
  }
}
