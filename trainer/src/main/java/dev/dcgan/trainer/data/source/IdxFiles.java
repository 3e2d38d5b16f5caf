package dev.dcgan.trainer.data.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The IDX files of one split of MNIST, Fashion-MNIST, EMNIST or a similar dataset.
 *
 * @param images the image file, plain or gzip
 * @param labels the label file beside it; null if there is none
 */
public record IdxFiles(Path images, @Nullable Path labels) {

  private static final Pattern TRAINING =
      Pattern.compile("(?:([\\w-]+)-)?train-images[-.]idx3-ubyte");
  private static final String GZ = ".gz";

  /**
   * Finds the training files in a folder by their standard names, or takes the given image file.
   *
   * @throws IOException if the folder has no or several training sets, or the file does not exist
   */
  public static IdxFiles open(Path folderOrFile) throws IOException {
    if (!Files.exists(folderOrFile)) {
      throw new IOException(
          "cannot open "
              + folderOrFile
              + ": it does not exist; expected a folder with IDX files, or such a file");
    }
    return of(Files.isDirectory(folderOrFile) ? find(folderOrFile) : folderOrFile);
  }

  /** Whether a folder has training files by their standard names. */
  public static boolean existIn(Path folder) throws IOException {
    return !sets(folder).isEmpty();
  }

  /** Whether a file has the standard name of training images. */
  public static boolean isTrainingSet(Path file) {
    return TRAINING.matcher(stem(file)).matches();
  }

  private static IdxFiles of(Path images) {
    String stem = stem(images);
    String labels = stem.replace("images", "labels").replace("idx3", "idx1");
    // QMNIST's labels are integers, in eight columns.
    String integers = labels.replace("idx1-ubyte", "idx2-int");
    return new IdxFiles(
        images,
        labels.equals(stem)
            ? null
            : existing(images, labels).or(() -> existing(images, integers)).orElse(null));
  }

  private static Path find(Path folder) throws IOException {
    TreeSet<String> found = sets(folder);
    if (found.isEmpty()) {
      throw new IOException(
          "cannot open "
              + folder
              + ": it has no training images as IDX files; expected train-images-idx3-ubyte,"
              + " train-images.idx3-ubyte or emnist-<split>-train-images-idx3-ubyte, plain or .gz:"
              + " name the folder that holds one of them, or the file itself");
    }
    if (found.size() > 1) {
      throw new IOException(
          "cannot open %s: it has several sets of training images (%s); name the file to train on"
              .formatted(folder, String.join(", ", found)));
    }
    return existing(folder.resolve(found.first()), found.first()).orElseThrow();
  }

  private static TreeSet<String> sets(Path folder) throws IOException {
    TreeSet<String> found = new TreeSet<>();
    try (Stream<Path> files = Files.list(folder)) {
      // Some archives unpack to a folder of the same name beside the file.
      files
          .filter(Files::isRegularFile)
          .filter(IdxFiles::isTrainingSet)
          .map(IdxFiles::stem)
          .forEach(found::add);
    }
    return found;
  }

  /**
   * The file of that name beside another; plain is preferred to gzip. Some archives unpack each
   * file into a folder of its own name.
   */
  private static Optional<Path> existing(Path sibling, String stem) {
    Path folder = sibling.toAbsolutePath().getParent();
    List<Path> candidates = new ArrayList<>();
    for (String name : List.of(stem, stem + GZ)) {
      candidates.add(sibling.resolveSibling(name));
    }
    if (folder != null && folder.getFileName() != null && stem(folder).equals(stem(sibling))) {
      for (String name : List.of(stem, stem + GZ)) {
        candidates.add(folder.resolveSibling(stem).resolve(name));
      }
    }
    return candidates.stream().filter(Files::isRegularFile).findFirst();
  }

  private static String stem(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(GZ) ? name.substring(0, name.length() - GZ.length()) : name;
  }

  /** The test split beside this training split, {@code t10k} or EMNIST's {@code test}. */
  public Optional<IdxFiles> test() {
    String stem = stem(images);
    if (!TRAINING.matcher(stem).matches()) {
      return Optional.empty();
    }
    return Stream.of("t10k-images", "test-images")
        .flatMap(test -> existing(images, stem.replace("train-images", test)).stream())
        .findFirst()
        .map(IdxFiles::of);
  }

  /**
   * Whether the images are stored transposed, as EMNIST's are (Cohen et al. 2017); decided by the
   * file's name.
   */
  public boolean isTransposed() {
    return stem(images).startsWith("emnist-");
  }

  /**
   * The dataset's name: {@code emnist-letters}; for other files, which have no names, the folder's.
   */
  public String name() {
    Matcher matcher = TRAINING.matcher(stem(images));
    if (matcher.matches() && matcher.group(1) != null) {
      return matcher.group(1);
    }
    Path folder = images.toAbsolutePath().normalize().getParent();
    if (folder != null && folder.endsWith("raw") && folder.getNameCount() > 1) {
      folder = folder.getParent(); // torchvision's MNIST/raw
    }
    Path parentName = folder == null ? null : folder.getFileName();
    return parentName == null ? stem(images) : parentName.toString();
  }
}
