package dev.dcgan.trainer.data;

import dev.dcgan.model.ImageShape;
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

/**
 * The training images of MNIST, Fashion-MNIST or EMNIST from IDX files, plain or gzip, in memory.
 *
 * <p>EMNIST (Cohen et al. 2017) stores rows as columns; its images, known by their file's name, are
 * turned upright here. Labels are not needed; where they lie beside the images they must be whole
 * and as many.
 */
public final class IdxDataset implements ImageDataset {

  private static final Pattern IMAGES =
      Pattern.compile("(?:(emnist-[a-z]+)-)?train-images[-.]idx3-ubyte");
  private static final String GZ = ".gz";

  private final String name;
  private final ImageShape shape;
  private final List<byte[]> images;

  private IdxDataset(String name, ImageShape shape, List<byte[]> images) {
    this.name = name;
    this.shape = shape;
    this.images = images;
  }

  /**
   * Reads the training images in a folder, found by their standard names, or the images in the file
   * named.
   *
   * @throws IOException none or several sets of images in the folder; a file that is truncated, too
   *     long, damaged or not what its name says; the message names it
   */
  public static IdxDataset open(Path folderOrFile) throws IOException {
    if (!Files.exists(folderOrFile)) {
      throw new IOException(
          folderOrFile + " does not exist: name a folder with IDX files, or such a file");
    }
    Path file = Files.isDirectory(folderOrFile) ? find(folderOrFile) : folderOrFile;
    boolean transposed = stem(file).startsWith("emnist-");
    IdxDataset dataset = readImages(file, transposed);
    Optional<Path> labels = labelsOf(file);
    if (labels.isPresent()) {
      checkLabels(labels.get(), file, dataset.size());
    }
    return dataset;
  }

  private static Path find(Path folder) throws IOException {
    TreeSet<String> found = new TreeSet<>();
    try (Stream<Path> files = Files.list(folder)) {
      // Some archives unpack to a folder of the same name beside the file.
      files
          .filter(Files::isRegularFile)
          .map(IdxDataset::stem)
          .filter(stem -> IMAGES.matcher(stem).matches())
          .forEach(found::add);
    }
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
    return existing(folder, found.first()).orElseThrow();
  }

  /** The file of that name, plain rather than gzip where both are there. */
  private static Optional<Path> existing(Path folder, String stem) {
    return Stream.of(stem, stem + GZ).map(folder::resolve).filter(Files::isRegularFile).findFirst();
  }

  private static String stem(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(GZ) ? name.substring(0, name.length() - GZ.length()) : name;
  }

  private static IdxDataset readImages(Path file, boolean transposed) throws IOException {
    try (IdxReader reader = IdxReader.open(file, 3)) {
      int count = reader.dimension(0);
      int rows = reader.dimension(1);
      int columns = reader.dimension(2);
      ImageShape stored;
      try {
        stored = new ImageShape(rows, columns, 1);
      } catch (IllegalArgumentException e) {
        throw new IOException(file + ": " + e.getMessage(), e);
      }
      List<byte[]> images = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        byte[] image = reader.next(stored.values());
        images.add(transposed ? transpose(image, rows, columns) : image);
      }
      reader.expectEnd();
      ImageShape shape = transposed ? new ImageShape(columns, rows, 1) : stored;
      return new IdxDataset(nameOf(file), shape, images);
    }
  }

  private static byte[] transpose(byte[] image, int rows, int columns) {
    byte[] upright = new byte[image.length];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        upright[column * rows + row] = image[row * columns + column];
      }
    }
    return upright;
  }

  /** {@code emnist-letters}; for others, which are all named alike, their folder's name. */
  private static String nameOf(Path file) {
    Matcher matcher = IMAGES.matcher(stem(file));
    if (matcher.matches() && matcher.group(1) != null) {
      return matcher.group(1);
    }
    Path folder = file.toAbsolutePath().normalize().getParent();
    Path named = folder == null ? null : folder.getFileName();
    return named == null ? stem(file) : named.toString();
  }

  private static Optional<Path> labelsOf(Path images) {
    String stem = stem(images);
    String labels = stem.replace("images", "labels").replace("idx3", "idx1");
    return labels.equals(stem) ? Optional.empty() : existing(images.resolveSibling(""), labels);
  }

  private static void checkLabels(Path file, Path images, int count) throws IOException {
    try (IdxReader reader = IdxReader.open(file, 1)) {
      if (reader.dimension(0) != count) {
        throw new IOException(
            "%s has %d labels; expected %d, one for each image in %s: are they of one set?"
                .formatted(file, reader.dimension(0), count, images));
      }
      reader.next(count);
      reader.expectEnd();
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public ImageShape shape() {
    return shape;
  }

  @Override
  public int size() {
    return images.size();
  }

  @Override
  public void copyPixels(int index, byte[] target, int offset) {
    System.arraycopy(images.get(index), 0, target, offset, shape.values());
  }
}
