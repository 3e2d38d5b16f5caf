package dev.dcgan.trainer.data.source;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The rules by which folders define a split and classes.
 *
 * <p>A single top-level folder is descended into. Folders for training and for test or validation
 * define the split (see {@link SplitRole}): test if there are both. They are beside each other, or
 * both in every class folder. Then each folder is a class if there are at least two; images beside
 * them are left out unless they are as many as the others, which then have no labels. StyleGAN's
 * {@code dataset.json} takes precedence over folders, and its shards are no classes. What is not
 * used is added to the ignored files.
 */
final class FolderLayout {

  // The formats of the last row cannot be read: they are reported as unreadable, not ignored.
  private static final Set<String> IMAGES =
      Set.of(
          "png", "apng", "jpg", "jpeg", "jpe", "jif", "jfif", "pjpeg", "pjp", "gif", "bmp",
          "dib", //
          "tif", "tiff", "webp", //
          "avif", "heic", "heics", "heif", "jp2", "j2k", "j2c", "jpf", "jpx", "jxl");
  private static final Set<String> ARCHIVES =
      Set.of("zip", "tar", "tgz", "gz", "7z", "rar", "xz", "zst", "bz2");
  private static final Pattern SHARD = Pattern.compile("\\d{5}");
  private static final Pattern SHARD_IMAGE = Pattern.compile("(?:img)?(\\d{5,9})\\.\\w+");
  private static final int SHARD_IMAGES = 1000;

  private static final String NOT_AN_IMAGE = "not an image";
  private static final String OTHER_IMAGE = "image to convert to PNG";
  private static final String ARCHIVE = "archive, not unpacked";

  /** The reasons of files that are ignored for what they are. */
  static final Set<String> OF_OTHER_KINDS = Set.of(NOT_AN_IMAGE, OTHER_IMAGE, ARCHIVE);

  private final Map<String, Integer> jsonLabels;
  private final IgnoredFiles ignored;
  private final List<String> notes = new ArrayList<>();

  // Mutable state
  private List<String> classes = List.of();
  private Set<String> nameWords = Set.of(); // of the dataset, in the names of all folders

  private FolderLayout(Map<String, Integer> jsonLabels, IgnoredFiles ignored) {
    this.jsonLabels = jsonLabels;
    this.ignored = ignored;
  }

  /**
   * Sorts out files.
   *
   * @param names of all files, sorted
   * @param jsonLabels by name, from {@code dataset.json}
   * @param ignored receives what is not used
   */
  static ImageFiles of(List<String> names, Map<String, Integer> jsonLabels, IgnoredFiles ignored) {
    return new FolderLayout(jsonLabels, ignored).sortOut(names);
  }

  private ImageFiles sortOut(List<String> names) {
    List<String> images = images(names);
    int top = 0;
    for (List<String> inside = inside(images, top); !inside.isEmpty(); top++) {
      images = inside;
      inside = inside(images, top + 1);
    }
    nameWords = SplitRole.commonWords(folders(images, top));
    Set<SplitRole> roles = roles(folders(images, top));
    if (isSplit(roles)) {
      return split(images, top, heldOut(roles), /* classesAbove= */ false);
    }
    Set<String> inner = folders(images, top + 1);
    if (isSplit(roles(inner)) && inner.stream().allMatch(f -> role(f).isPresent())) {
      return split(images, top + 1, heldOut(roles(inner)), /* classesAbove= */ true);
    }
    return new ImageFiles(labelled(images, top), List.of(), classes, "", notes);
  }

  /**
   * The images inside the only folder at a depth; empty if there is none to descend into. A few
   * images beside it are left out if it has folders for classes or a split.
   */
  private List<String> inside(List<String> images, int depth) {
    List<String> inside = images.stream().filter(n -> !folder(n, depth).isEmpty()).toList();
    if (only(inside, depth) == null || inside.size() == images.size()) {
      return only(inside, depth) == null ? List.of() : inside;
    }
    int deeper = depth + 1;
    while (only(inside, deeper) != null) {
      deeper++;
    }
    Set<String> folders = folders(inside, deeper);
    folders.remove("");
    if (folders.size() < 2 || 2 * inside.size() <= images.size()) {
      return List.of();
    }
    images.stream()
        .filter(n -> folder(n, depth).isEmpty())
        .forEach(name -> ignored.add("beside the class folders", name));
    return inside;
  }

  private List<String> images(List<String> names) {
    TrainerOutput output = new TrainerOutput(names);
    List<String> images = new ArrayList<>();
    for (String name : names) {
      Optional<String> folder = output.folderOf(name);
      String extension = extension(name);
      if (folder.isPresent()) {
        ignored.add("output of the trainer", folder.get());
      } else if (IMAGES.contains(extension)) {
        images.add(name);
      } else if (ARCHIVES.contains(extension)) {
        ignored.add(ARCHIVE, name);
      } else if (!DatasetJson.isDatasetJson(name)) {
        ignored.add(FileKind.isOtherImage(extension) ? OTHER_IMAGE : NOT_AN_IMAGE, name);
      }
    }
    return images;
  }

  /** Whether a file is an image by its extension. */
  static boolean isImage(String name) {
    return IMAGES.contains(extension(name));
  }

  /** The lower-case extension; empty without one. */
  static String extension(String name) {
    int dot = name.lastIndexOf('.');
    return dot > name.lastIndexOf('/') ? name.substring(dot + 1).toLowerCase(Locale.ROOT) : "";
  }

  private Set<SplitRole> roles(Set<String> folders) {
    return folders.stream().flatMap(f -> role(f).stream()).collect(Collectors.toSet());
  }

  private Optional<SplitRole> role(String folder) {
    return SplitRole.of(folder, nameWords);
  }

  private static boolean isSplit(Set<SplitRole> roles) {
    return roles.contains(SplitRole.TRAINING) && roles.size() > 1;
  }

  private static SplitRole heldOut(Set<SplitRole> roles) {
    return roles.contains(SplitRole.TEST) ? SplitRole.TEST : SplitRole.VALIDATION;
  }

  private ImageFiles split(
      List<String> images, int depth, SplitRole heldOut, boolean classesAbove) {
    List<String> trained = new ArrayList<>();
    List<String> tested = new ArrayList<>();
    for (String name : images) {
      SplitRole role = role(folder(name, depth)).orElse(null);
      if (role == SplitRole.TRAINING) {
        trained.add(name);
      } else if (role == heldOut) {
        tested.add(name);
      } else {
        ignored.add(
            role == null
                ? "beside the training and test folders"
                : "neither trained on nor held out",
            folder(name, depth).isEmpty() ? name : path(name, depth + 1));
      }
    }
    int classDepth = classesAbove ? depth - 1 : depth + 1;
    while (!classesAbove && only(trained, classDepth) != null) {
      classDepth++;
    }
    List<ImageFile> training = labelled(trained, classDepth);
    int testDepth = classesAbove ? classDepth : testDepth(tested, depth, classDepth);
    List<ImageFile> test = tested.stream().map(n -> testFile(n, testDepth)).toList();
    String from = String.join(", ", folders(tested, depth));
    noteUnlabelled(test, testDepth);
    return new ImageFiles(training, test, classes, from, notes);
  }

  /** How deep the class folders of the test images are: a folder around them all is descended. */
  private int testDepth(List<String> tested, int depth, int classDepth) {
    int testDepth = depth + 1;
    for (String only = only(tested, testDepth); only != null; only = only(tested, testDepth)) {
      String around = folder(tested.get(0), testDepth - 1);
      if (classes.contains(only)
          || !(testDepth < classDepth
              || only.equals(around)
              || SplitRole.isFiller(only)
              || role(only).isPresent())) {
        break;
      }
      testDepth++;
    }
    return testDepth;
  }

  private ImageFile testFile(String name, int depth) {
    int label =
        jsonLabels.isEmpty()
            ? Collections.binarySearch(classes, folder(name, depth))
            : jsonLabels.getOrDefault(name, -1);
    return new ImageFile(name, classes.isEmpty() || label < 0 ? -1 : label);
  }

  private void noteUnlabelled(List<ImageFile> test, int depth) {
    List<ImageFile> unlabelled = test.stream().filter(image -> image.label() < 0).toList();
    if (!classes.isEmpty() && !unlabelled.isEmpty()) {
      Set<String> folders = folders(unlabelled.stream().map(ImageFile::name).toList(), depth);
      folders.remove("");
      notes.add(
          unlabelled.size()
              + " held-out images without a label"
              + (folders.isEmpty()
                  ? ""
                  : " (no training images of "
                      + ImageFiles.summarize(List.copyOf(folders), 3)
                      + ")"));
    }
  }

  /** Labels training images, and sets the classes. */
  private List<ImageFile> labelled(List<String> images, int depth) {
    if (!jsonLabels.isEmpty()) {
      return labelledByJson(images);
    }
    Set<String> folders = folders(images, depth);
    folders.remove("");
    if (folders.size() < 2) {
      return unlabelled(images);
    }
    if (areShards(images, depth)) {
      notes.add("no labels: the folders are shards");
      return unlabelled(images);
    }
    List<String> labelled =
        keepIfMost(images, n -> !folder(n, depth).isEmpty(), "beside the class folders");
    classes = labelled.isEmpty() ? List.of() : List.copyOf(folders);
    if (labelled.isEmpty()) {
      return unlabelled(images);
    }
    return labelled.stream()
        .map(n -> new ImageFile(n, Collections.binarySearch(classes, folder(n, depth))))
        .toList();
  }

  private List<ImageFile> labelledByJson(List<String> images) {
    List<String> labelled =
        keepIfMost(images, jsonLabels::containsKey, "without a label in " + DatasetJson.NAME);
    if (labelled.isEmpty()) {
      return unlabelled(images);
    }
    int highest = labelled.stream().mapToInt(jsonLabels::get).max().orElse(0);
    List<String> numbers = new ArrayList<>();
    for (int i = 0; i <= highest; i++) {
      numbers.add(Integer.toString(i));
    }
    classes = List.copyOf(numbers);
    notes.add("labels from " + DatasetJson.NAME);
    return labelled.stream().map(n -> new ImageFile(n, jsonLabels.getOrDefault(n, -1))).toList();
  }

  /** The images that have a label, if they are more than those that do not; otherwise none. */
  private List<String> keepIfMost(List<String> images, Predicate<String> hasLabel, String which) {
    List<String> labelled = images.stream().filter(hasLabel).toList();
    List<String> others = images.stream().filter(hasLabel.negate()).toList();
    if (labelled.size() <= others.size()) {
      notes.add("no labels: %d of %d images are %s".formatted(others.size(), images.size(), which));
      return List.of();
    }
    others.forEach(name -> ignored.add(which, name));
    return labelled;
  }

  private static List<ImageFile> unlabelled(List<String> images) {
    return images.stream().map(name -> new ImageFile(name, -1)).toList();
  }

  /**
   * Whether folders are shards of a thousand images: {@code 00012/img00012345.png} of StyleGAN,
   * {@code 12000/12345.png} of FFHQ. Other folders with numbers are classes.
   */
  private static boolean areShards(List<String> images, int depth) {
    for (String name : images) {
      String folder = folder(name, depth);
      Matcher image = SHARD_IMAGE.matcher(name.substring(name.lastIndexOf('/') + 1));
      if (!SHARD.matcher(folder).matches() || !image.matches()) {
        return false;
      }
      int shard = Integer.parseInt(folder);
      int index = Integer.parseInt(image.group(1));
      boolean ofStyleGan = image.group(1).length() == 8 && index / SHARD_IMAGES == shard;
      if (!ofStyleGan && index - index % SHARD_IMAGES != shard) {
        return false;
      }
    }
    return true;
  }

  private static Set<String> folders(List<String> names, int depth) {
    Set<String> folders = new TreeSet<>();
    names.forEach(name -> folders.add(folder(name, depth)));
    return folders;
  }

  /** The folder that all files are in at this depth; null if there are several, or files. */
  private static @Nullable String only(List<String> names, int depth) {
    if (names.isEmpty()) {
      return null;
    }
    String first = folder(names.get(0), depth);
    return !first.isEmpty() && names.stream().allMatch(name -> folder(name, depth).equals(first))
        ? first
        : null;
  }

  /** The folder of a file at the given depth; empty if the file is less deep. */
  private static String folder(String name, int depth) {
    int start = start(name, depth);
    int end = start < 0 ? -1 : name.indexOf('/', start);
    return end < 0 ? "" : name.substring(start, end);
  }

  /** The first {@code depth} folders of a file, with a final slash. */
  private static String path(String name, int depth) {
    return name.substring(0, start(name, depth));
  }

  private static int start(String name, int depth) {
    int start = 0;
    for (int i = 0; i < depth; i++) {
      start = name.indexOf('/', start) + 1;
      if (start == 0) {
        return -1;
      }
    }
    return start;
  }
}
