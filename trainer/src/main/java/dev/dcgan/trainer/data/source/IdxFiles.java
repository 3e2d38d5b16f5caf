package dev.dcgan.trainer.data.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One set of pictures in IDX files: MNIST, Fashion-MNIST, EMNIST or their like.
 *
 * @param images the pictures, plain or gzip
 * @param labels beside them, where there are any
 */
public record IdxFiles(Path images, @Nullable Path labels) {

  private static final Pattern TRAINING =
      Pattern.compile("(?:(emnist-[a-z]+)-)?train-images[-.]idx3-ubyte");
  private static final String GZ = ".gz";

  /**
   * The training pictures in a folder, found by their standard names, or those in the file named.
   *
   * @throws IOException none or several sets of them in the folder, or no such file
   */
  public static IdxFiles open(Path folderOrFile) throws IOException {
    if (!Files.exists(folderOrFile)) {
      throw new IOException(
          folderOrFile + " does not exist: name a folder with IDX files, or such a file");
    }
    return of(Files.isDirectory(folderOrFile) ? find(folderOrFile) : folderOrFile);
  }

  /** Whether a folder has training pictures by their standard names. */
  public static boolean areIn(Path folder) throws IOException {
    return !sets(folder).isEmpty();
  }

  private static IdxFiles of(Path images) {
    String stem = stem(images);
    String labels = stem.replace("images", "labels").replace("idx3", "idx1");
    return new IdxFiles(images, labels.equals(stem) ? null : existing(images, labels).orElse(null));
  }

  private static Path find(Path folder) throws IOException {
    TreeSet<String> found = sets(folder);
    if (found.isEmpty()) {
      throw new IOException(
          folder
              + " holds no training images as IDX files; expected train-images-idx3-ubyte,"
              + " train-images.idx3-ubyte or emnist-<split>-train-images-idx3-ubyte, plain or .gz:"
              + " name the folder that holds one of them, or the file itself");
    }
    if (found.size() > 1) {
      throw new IOException(
          "%s holds several sets of training images (%s): name the file to train on"
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
          .map(IdxFiles::stem)
          .filter(stem -> TRAINING.matcher(stem).matches())
          .forEach(found::add);
    }
    return found;
  }

  /** The file of that name beside another, plain rather than gzip where both are there. */
  private static Optional<Path> existing(Path sibling, String stem) {
    return Stream.of(stem, stem + GZ)
        .map(sibling::resolveSibling)
        .filter(Files::isRegularFile)
        .findFirst();
  }

  private static String stem(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(GZ) ? name.substring(0, name.length() - GZ.length()) : name;
  }

  /** The set's own test pictures, {@code t10k} or EMNIST's {@code test}, where they are there. */
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
   * Whether the pictures lie with rows as columns, as EMNIST's do (Cohen et al. 2017): known by the
   * file's name.
   */
  boolean isTransposed() {
    return stem(images).startsWith("emnist-");
  }

  /** {@code emnist-letters}; for others, which are all named alike, their folder's name. */
  public String name() {
    Matcher matcher = TRAINING.matcher(stem(images));
    if (matcher.matches() && matcher.group(1) != null) {
      return matcher.group(1);
    }
    Path folder = images.toAbsolutePath().normalize().getParent();
    Path named = folder == null ? null : folder.getFileName();
    return named == null ? stem(images) : named.toString();
  }
}
