package dev.dcgan.sampler.models;

import dev.dcgan.latent.Labels;
import dev.dcgan.model.ImageClasses;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The labels of the images of seeds: of one class, of several, or as the training images have them.
 * The label of an image depends on this choice, its seed and its index alone. Immutable.
 */
public final class LabelChoice {

  /** The most labels in a request. */
  private static final int MAX_LABELS = 1024;

  private final Optional<ImageClasses> classes;
  private final int[] labels;
  private final long[] upTo;

  private LabelChoice(Optional<ImageClasses> classes, int[] labels) {
    this.classes = classes;
    this.labels = labels;
    this.upTo = new long[labels.length];
    for (int i = 0; i < labels.length; i++) {
      upTo[i] = i + 1L;
    }
  }

  /**
   * The choice of a request.
   *
   * @param classes of the model; empty: it is not conditional
   * @param requested names or positions of classes, of which each counts 1; none: all classes, by
   *     the distribution of the training images
   * @throws IllegalArgumentException the model does not have them; the message lists its classes
   */
  public static LabelChoice of(Optional<ImageClasses> classes, List<String> requested) {
    if (requested.size() > MAX_LABELS) {
      throw new IllegalArgumentException(
          "%d labels: expected at most %d".formatted(requested.size(), MAX_LABELS));
    }
    int[] labels = new int[requested.size()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = find(classes, requested.get(i));
    }
    return new LabelChoice(classes, labels);
  }

  /**
   * The label that a text names.
   *
   * @param classes of the model; empty: it is not conditional
   * @throws IllegalArgumentException the model does not have it; the message lists its classes
   */
  public static int find(Optional<ImageClasses> classes, String text) {
    if (classes.isEmpty()) {
      throw new IllegalArgumentException(
          "label '%s': the model has no classes; leave the label out".formatted(text));
    }
    OptionalInt label = classes.get().find(text);
    if (label.isEmpty()) {
      throw new IllegalArgumentException(
          "label '%s': the model has no such class; expected one of %s"
              .formatted(text, classes.get()));
    }
    return label.getAsInt();
  }

  /** Whether the model has classes, and so images have labels. */
  public boolean hasClasses() {
    return classes.isPresent();
  }

  /** The label of image {@code index} of a seed, of a model with classes. */
  public int label(long seed, long index) {
    return switch (labels.length) {
      case 0 -> classes.orElseThrow().draw(seed, index);
      case 1 -> labels[0];
      default -> labels[Labels.draw(seed, index, upTo)];
    };
  }
}
