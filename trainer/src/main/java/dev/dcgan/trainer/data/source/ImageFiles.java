package dev.dcgan.trainer.data.source;

import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;

/**
 * The image files of a tree, with the split and the classes that their folders define; {@link
 * FolderLayout} has the rules.
 *
 * @param training the training images, in the order of their names
 * @param test the test images; empty if the folders define no split
 * @param classes names of the classes; empty without labels
 * @param heldOutFrom the folder of the test images; empty without a split
 * @param notes what else a user should know, each in a few words
 */
public record ImageFiles(
    List<ImageFile> training,
    List<ImageFile> test,
    List<String> classes,
    String heldOutFrom,
    List<String> notes) {

  public ImageFiles {
    training = List.copyOf(training);
    test = List.copyOf(test);
    classes = List.copyOf(classes);
    notes = List.copyOf(notes);
  }

  /**
   * Sorts out the files of a tree by their names; those that are not used are added to what the
   * tree ignores.
   *
   * @throws IOException if the labels in {@code dataset.json} cannot be read
   */
  public static ImageFiles of(FileTree tree) throws IOException {
    return FolderLayout.of(tree.names(), DatasetJson.labels(tree), tree.ignored());
  }

  /** Joins up to {@code limit} names for a message. */
  public static String summarize(List<String> names, int limit) {
    Stream<String> more =
        names.size() > limit
            ? Stream.of("and %d more".formatted(names.size() - limit))
            : Stream.of();
    return String.join(", ", Stream.concat(names.stream().limit(limit), more).toList());
  }
}
