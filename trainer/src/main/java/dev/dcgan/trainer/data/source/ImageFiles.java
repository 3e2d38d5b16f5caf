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
 * Which files of a tree are pictures, and what their folders say.
 *
 * <p>A lone folder at the top is passed through. Below it, {@code train} and {@code test} (or
 * {@code val}) together divide the pictures; whatever lies beside them is left aside. Below that,
 * each first-level folder is a class, where every picture lies in one and there are at least two.
 *
 * @param training names of the pictures to train on, in order
 * @param test names of the pictures held out; none where the folders don't say
 * @param aside names of the files passed over: no pictures by their names, or beside {@code train}
 *     and {@code test}
 * @param classes names of the classes, in order; none without labels
 * @param depth of the folder that classes lie in
 */
public record ImageFiles(
    List<String> training, List<String> test, List<String> aside, List<String> classes, int depth) {

  // The last row are pictures that the JDK cannot read: named as unreadable, not passed over.
  private static final Set<String> ENDINGS =
      Set.of(
          "png", "jpg", "jpeg", "jpe", "jfif", "gif", "bmp", "tif", "tiff", //
          "webp", "avif", "heic", "heif", "jp2", "jxl");

  // What people call the pictures that are not trained on; the first that is there counts.
  private static final List<String> TESTS = List.of("test", "val", "valid", "validation");

  public ImageFiles {
    training = List.copyOf(training);
    test = List.copyOf(test);
    aside = List.copyOf(aside);
    classes = List.copyOf(classes);
  }

  /** Sorts names, which are in order. */
  public static ImageFiles of(List<String> names) {
    List<String> pictures = names.stream().filter(ImageFiles::isPicture).toList();
    List<String> aside = new ArrayList<>(names);
    aside.removeIf(ImageFiles::isPicture);
    int top = 0;
    while (folders(pictures, top).size() == 1 && !folders(pictures, top).contains("")) {
      top++;
    }
    String test = testFolder(folders(pictures, top));
    if (test.isEmpty()) {
      return new ImageFiles(pictures, List.of(), aside, classes(pictures, List.of(), top), top);
    }
    List<String> trained = pictures.stream().filter(in("train", top)).toList();
    List<String> tested = pictures.stream().filter(in(test, top)).toList();
    pictures.stream().filter(in("train", top).or(in(test, top)).negate()).forEach(aside::add);
    return new ImageFiles(trained, tested, aside, classes(trained, tested, top + 1), top + 1);
  }

  private static boolean isPicture(String name) {
    int dot = name.lastIndexOf('.');
    return dot >= 0 && ENDINGS.contains(name.substring(dot + 1).toLowerCase(Locale.ROOT));
  }

  /** The folder that goes with {@code train}; empty where they don't divide the pictures. */
  private static String testFolder(Set<String> folders) {
    return TESTS.stream()
        .filter(test -> folders.contains("train") && folders.contains(test))
        .findFirst()
        .orElse("");
  }

  private static Predicate<String> in(String folder, int depth) {
    return name -> folder(name, depth).equals(folder);
  }

  private static Set<String> folders(List<String> pictures, int depth) {
    Set<String> folders = new TreeSet<>();
    pictures.forEach(name -> folders.add(folder(name, depth)));
    return folders;
  }

  private static List<String> classes(List<String> training, List<String> test, int depth) {
    Set<String> classes = folders(training, depth);
    boolean several = classes.size() > 1;
    classes.addAll(folders(test, depth));
    return several && !classes.contains("") ? List.copyOf(classes) : List.of();
  }

  /** The folder of that depth that a file lies in; empty where it lies higher. */
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

  /** The class of a picture, from 0; -1 without labels. */
  int label(String name) {
    return classes.isEmpty() ? -1 : Collections.binarySearch(classes, folder(name, depth));
  }

  /** Up to {@code limit} of some names, for a message. */
  public static String some(List<String> names, int limit) {
    Stream<String> more =
        names.size() > limit
            ? Stream.of("and %d more".formatted(names.size() - limit))
            : Stream.of();
    return String.join(", ", Stream.concat(names.stream().limit(limit), more).toList());
  }
}
