package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageClasses;
import dev.dcgan.server.FinalFailureException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The classes of a conditional model with the label of each image that it is trained on.
 *
 * @param classes those of the dataset that have images, in its order
 * @param labels of the images, in the dataset's order: positions in {@code classes}
 */
@SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
public record ImageLabels(ImageClasses classes, int[] labels) {

  /**
   * The classes of training images. A class without images is left out.
   *
   * @throws IOException if fewer than two classes or more than {@link ImageClasses#MAX} have images
   */
  public static ImageLabels of(ImageDataset images) throws IOException {
    long[] counts = new long[images.classes()];
    int[] labels = new int[images.size()];
    for (int i = 0; i < labels.length && counts.length > 0; i++) {
      labels[i] = images.label(i);
      counts[labels[i]]++;
    }
    int[] positions = new int[counts.length];
    List<String> names = new ArrayList<>();
    List<Long> present = new ArrayList<>();
    for (int label = 0; label < counts.length; label++) {
      if (counts[label] > 0) {
        positions[label] = names.size();
        names.add(images.className(label));
        present.add(counts[label]);
      }
    }
    if (names.size() < 2 || names.size() > ImageClasses.MAX) {
      throw new FinalFailureException(
          ("cannot train with --conditional on %s: it has %s; expected 2 to %d classes, for example"
                  + " a folder of images for each; or leave out --conditional")
              .formatted(images.name(), found(names), ImageClasses.MAX));
    }
    Arrays.setAll(labels, i -> positions[labels[i]]);
    try {
      return new ImageLabels(new ImageClasses(names, present), labels);
    } catch (IllegalArgumentException e) {
      throw new FinalFailureException(
          "cannot train with --conditional on %s: %s".formatted(images.name(), e.getMessage()), e);
    }
  }

  /**
   * Finds an image for each label, from the dataset's beginning: no image twice, unless a class has
   * too few.
   *
   * @param wanted positions in {@code classes}
   * @return the indices of the images
   */
  public int[] first(int[] wanted) {
    int[] next = new int[classes.size()];
    int[] found = new int[wanted.length];
    for (int i = 0; i < wanted.length; i++) {
      int at = next[wanted[i]];
      while (labels[at % labels.length] != wanted[i]) {
        at++;
      }
      found[i] = at % labels.length;
      next[wanted[i]] = at + 1;
    }
    return found;
  }

  private static String found(List<String> names) {
    return switch (names.size()) {
      case 0 -> "no labels";
      case 1 -> "images of one class, " + names.get(0);
      default -> names.size() + " classes";
    };
  }
}
