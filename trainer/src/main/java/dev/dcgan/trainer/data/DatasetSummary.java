package dev.dcgan.trainer.data;

import dev.dcgan.trainer.data.source.ImageFiles;
import dev.dcgan.trainer.data.source.ImageSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** One line that says how a dataset was understood. */
final class DatasetSummary {

  private static final int MAX_NAMED_CLASSES = 12;

  private DatasetSummary() {}

  /**
   * Describes a dataset.
   *
   * @param found what was found on disk
   * @param images the decoded images
   * @param rotated the number of images that were turned upright; named if there are any
   * @param heldOutEvery one image in so many is held out; 0 if the dataset has its own split
   */
  static String line(
      FoundDataset found,
      DatasetSplit images,
      int unreadable,
      int rotated,
      String colors,
      int heldOutEvery) {
    int heldOut = images.disjoint() ? images.heldOut().size() : 0;
    String from =
        !found.heldOutFrom().isEmpty()
            ? " (from %s)".formatted(found.heldOutFrom())
            : heldOutEvery > 0 && heldOut > 0 ? " (every %dth image)".formatted(heldOutEvery) : "";
    List<String> facts = new ArrayList<>();
    facts.add("images=" + (images.training().size() + heldOut));
    facts.add("classes=" + classes(found.training(), images));
    facts.add("train=" + images.training().size());
    facts.add("held-out=" + heldOut + from);
    facts.add("colors=" + colors);
    if (rotated > 0) {
      facts.add("rotated=" + rotated);
    }
    facts.add("unreadable=" + unreadable);
    facts.add("ignored=" + found.ignored().summary());
    found.notes().forEach(note -> facts.add("note: " + note));
    return String.join(" ", facts);
  }

  /** The number of classes, with the number of images of each in both splits. */
  private static String classes(ImageSource names, DatasetSplit images) {
    int classes = images.training().classes();
    if (classes == 0) {
      return "0 (no labels)";
    }
    int[] trained = counts(images.training());
    int[] all = trained.clone();
    if (images.disjoint()) {
      int[] heldOut = counts(images.heldOut());
      Arrays.setAll(all, i -> trained[i] + heldOut[i]);
    }
    List<String> counts =
        IntStream.range(0, Math.min(classes, MAX_NAMED_CLASSES))
            .mapToObj(i -> className(names, i) + " " + all[i])
            .toList();
    String more =
        classes > MAX_NAMED_CLASSES
            ? ", and %d more; %d to %d images each"
                .formatted(
                    classes - MAX_NAMED_CLASSES,
                    Arrays.stream(all).min().orElse(0),
                    Arrays.stream(all).max().orElse(0))
            : "";
    List<String> empty =
        IntStream.range(0, classes)
            .filter(i -> trained[i] == 0)
            .mapToObj(i -> className(names, i))
            .toList();
    String untrained =
        empty.isEmpty()
            ? ""
            : "; no training images of " + ImageFiles.summarize(empty, MAX_NAMED_CLASSES);
    return "%d (%s%s%s)".formatted(classes, String.join(", ", counts), more, untrained);
  }

  /** A source knows the classes of its own labels only. */
  static String className(ImageSource names, int label) {
    return label < names.classes() ? names.className(label) : Integer.toString(label);
  }

  private static int[] counts(ImageDataset images) {
    int[] counts = new int[images.classes()];
    for (int i = 0; i < images.size(); i++) {
      if (images.label(i) >= 0) {
        counts[images.label(i)]++;
      }
    }
    return counts;
  }
}
