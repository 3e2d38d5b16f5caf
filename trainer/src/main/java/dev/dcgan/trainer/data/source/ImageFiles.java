package dev.dcgan.trainer.data.source;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The image files of a tree, with the split and the classes that their folders define.
 *
 * <p>A single top-level folder is descended into. If there are folders {@code train} and {@code
 * test} (or {@code val}), they define the split, and files beside them are skipped. Below that,
 * each folder is a class if every image is in one and there are at least two.
 *
 * @param training names of the training images, sorted
 * @param test names of the test images; empty if the folders define no split
 * @param skipped names of the files that are no images by their extension, or are beside {@code
 *     train} and {@code test}
 * @param classes names of the classes, sorted; empty without labels
 * @param depth how many folders deep the class folders are
 */
public record ImageFiles(
    List<String> training,
    List<String> test,
    List<String> skipped,
    List<String> classes,
    int depth) {

  // The JDK cannot read the formats of the last row: they are reported as unreadable, not skipped.
  private static final Set<String> EXTENSIONS =
      Set.of(
          "png", "jpg", "jpeg", "jpe", "jfif", "gif", "bmp", "tif", "tiff", //
          "webp", "avif", "heic", "heif", "jp2", "jxl");

  // Usual names of the test split; the first that exists is used.
  private static final List<String> TEST_FOLDERS = List.of("test", "val", "valid", "validation");

  public ImageFiles {
    training = List.copyOf(training);
    test = List.copyOf(test);
    skipped = List.copyOf(skipped);
    classes = List.copyOf(classes);
  }

  /** Sorts out the files of a tree by their names, which are sorted. */
  public static ImageFiles of(List<String> names) {
    List<String> images = names.stream().filter(ImageFiles::isImage).toList();
    List<String> skipped = new ArrayList<>(names);
    skipped.removeIf(ImageFiles::isImage);
    int top = 0;
    while (folders(images, top).size() == 1 && !folders(images, top).contains("")) {
      top++;
    }
    String test = testFolder(folders(images, top));
    if (test.isEmpty()) {
      return new ImageFiles(images, List.of(), skipped, classes(images, List.of(), top), top);
    }
    List<String> trained = images.stream().filter(in("train", top)).toList();
    List<String> tested = images.stream().filter(in(test, top)).toList();
    images.stream().filter(in("train", top).or(in(test, top)).negate()).forEach(skipped::add);
    return new ImageFiles(trained, tested, skipped, classes(trained, tested, top + 1), top + 1);
  }

  private static boolean isImage(String name) {
    int dot = name.lastIndexOf('.');
    return dot >= 0 && EXTENSIONS.contains(name.substring(dot + 1).toLowerCase(Locale.ROOT));
  }

  /** The test folder beside {@code train}; empty if the folders define no split. */
  private static String testFolder(Set<String> folders) {
    return TEST_FOLDERS.stream()
        .filter(test -> folders.contains("train") && folders.contains(test))
        .findFirst()
        .orElse("");
  }

  private static Predicate<String> in(String folder, int depth) {
    return name -> folder(name, depth).equals(folder);
  }

  private static Set<String> folders(List<String> images, int depth) {
    Set<String> folders = new TreeSet<>();
    images.forEach(name -> folders.add(folder(name, depth)));
    return folders;
  }

  private static List<String> classes(List<String> training, List<String> test, int depth) {
    Set<String> classes = folders(training, depth);
    boolean several = classes.size() > 1;
    classes.addAll(folders(test, depth));
    return several && !classes.contains("") ? List.copyOf(classes) : List.of();
  }

  /** The folder of a file at the given depth; empty if the file is less deep. */
  private static String folder(String name, int depth) {
    int start = 0;
    for (int i = 0; i < depth; i++) {
      start = name.indexOf('/', start) + 1;
      if (start == 0) {
        return "";
      }
    }
    int end = name.indexOf('/', start);
    return end < 0 ? "" : name.substring(start, end);
  }

  /** The label of an image, from 0; -1 without labels. */
  int label(String name) {
    return classes.isEmpty() ? -1 : Collections.binarySearch(classes, folder(name, depth));
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
