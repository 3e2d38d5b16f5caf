package dev.dcgan.model;

import dev.dcgan.latent.Labels;
import dev.dcgan.v1.ImageClass;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * The classes of a conditional model, each with its name and its number of training images. A
 * class's label is its position. Immutable.
 */
public final class ImageClasses {

  /** The most classes that a model may have. */
  public static final int MAX = 10_000;

  private final List<String> names;
  private final Map<String, Integer> labels;
  private final long[] upTo;

  /**
   * Checks the classes.
   *
   * @param names in the order of the labels: 2 to {@link #MAX}, not empty, unique
   * @param images of each class, 1 or more, fewer than 2^63 together
   * @throws IllegalArgumentException if they are not so; the message has what was found
   */
  public ImageClasses(List<String> names, List<Long> images) {
    if (names.size() < 2 || names.size() > MAX || images.size() != names.size()) {
      throw new IllegalArgumentException(
          "%d classes; expected 2 to %d".formatted(names.size(), MAX));
    }
    this.names = List.copyOf(names);
    this.labels = new HashMap<>();
    this.upTo = new long[names.size()];
    long sum = 0;
    for (int label = 0; label < names.size(); label++) {
      String name = names.get(label);
      if (name.isBlank() || labels.put(name, label) != null) {
        throw new IllegalArgumentException(
            "class %d has the name '%s'; expected a name that no other class has"
                .formatted(label, name));
      }
      long count = images.get(label);
      if (count < 1 || count > Long.MAX_VALUE - sum) {
        throw new IllegalArgumentException(
            "class '%s' has %s images; expected 1 or more, fewer than 2^63 together"
                .formatted(name, Long.toUnsignedString(count)));
      }
      sum += count;
      upTo[label] = sum;
    }
  }

  /**
   * Converts classes from their form in a manifest.
   *
   * @throws IllegalArgumentException if they are not valid
   */
  public static ImageClasses fromProto(List<ImageClass> classes) {
    return new ImageClasses(
        classes.stream().map(ImageClass::getName).toList(),
        classes.stream().map(ImageClass::getImages).toList());
  }

  /** Converts the classes to their form in a manifest. */
  public List<ImageClass> toProto() {
    List<ImageClass> classes = new ArrayList<>();
    for (int label = 0; label < size(); label++) {
      classes.add(
          ImageClass.newBuilder().setName(names.get(label)).setImages(images(label)).build());
    }
    return classes;
  }

  /** The number of classes. */
  public int size() {
    return names.size();
  }

  public String name(int label) {
    return names.get(label);
  }

  /** The number of training images of a class. */
  public long images(int label) {
    return label == 0 ? upTo[0] : upTo[label] - upTo[label - 1];
  }

  /** The label of (seed, index) by the {@link Labels label scheme}. */
  public int draw(long seed, long index) {
    return Labels.draw(seed, index, upTo);
  }

  /**
   * The label that a text names: a class of that name or, if there is none, the class at that
   * position. Empty: there is neither.
   */
  public OptionalInt find(String text) {
    Integer label = labels.get(text);
    if (label != null) {
      return OptionalInt.of(label);
    }
    // Not parseInt: "+1" and "٣" would be mistakes.
    if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) >= size()) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(Integer.parseInt(text));
  }

  /** For messages: the first classes as {@code cat (0), dog (1)}. */
  @Override
  public String toString() {
    int shown = Math.min(size(), 20);
    List<String> texts = new ArrayList<>();
    for (int label = 0; label < shown; label++) {
      texts.add("%s (%d)".formatted(names.get(label), label));
    }
    String all = String.join(", ", texts);
    return shown < size() ? "%s and %d more".formatted(all, size() - shown) : all;
  }
}
