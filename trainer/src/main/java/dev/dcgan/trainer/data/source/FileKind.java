package dev.dcgan.trainer.data.source;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarUtils;

/** What a file is by its first bytes, whatever its name. */
public enum FileKind {
  IDX,
  ZIP,
  TAR,
  TAR_GZ,
  OTHER;

  private static final int TAR_HEADER_BYTES = 512;
  private static final int MAX_NAMED = 3;

  private static final String UNPACK = "unpack it and name the folder";
  private static final String TO_FILES =
      "write the images to PNG or JPEG files, one folder for each class";

  private static final Map<String, String> MAGIC =
      Map.of(
          "7z\u00BC\u00AF'\u001C", "a 7z archive: " + UNPACK,
          "Rar!", "a RAR archive: " + UNPACK,
          "\u00FD7zXZ", "xz-compressed: " + UNPACK,
          "(\u00B5/\u00FD", "zstd-compressed: " + UNPACK,
          "BZh", "bzip2-compressed: " + UNPACK,
          "PAR1", "a Parquet file: " + TO_FILES,
          "\u0089HDF", "an HDF5 file: " + TO_FILES,
          "MATLAB", "a MATLAB file: " + TO_FILES,
          "\u0093NUMPY", "a NumPy array: " + TO_FILES);

  // Neither read nor counted as unreadable: they are often a second form of an image beside them.
  private static final List<String> OTHER_IMAGES =
      List.of(
          "ppm", "pgm", "pbm", "pnm", "pam", "pfm", "psd", "svg", "tga", "exr", "hdr", "ico", "dds",
          "pcx", "qoi", "jxr", "dng", "cr2", "cr3", "nef", "arw", "orf", "raf", "rw2");

  private static final Map<String, String> REMEDIES = remedies();

  private static Map<String, String> remedies() {
    Map<String, String> remedies = new LinkedHashMap<>();
    for (String extension :
        List.of(
            "parquet",
            "arrow",
            "tfrecord",
            "tfrecords",
            "mdb",
            "npz",
            "npy",
            "mat",
            "h5",
            "hdf5",
            "csv",
            "tsv",
            "pkl",
            "pickle",
            "pt",
            "pth")) {
      remedies.put(extension, TO_FILES);
    }
    for (String extension : List.of("zip", "tar", "tgz")) {
      remedies.put(extension, "name one of these files instead of the folder");
    }
    for (String extension : List.of("7z", "rar", "xz", "zst", "bz2", "gz")) {
      remedies.put(extension, "unpack them");
    }
    for (String extension : OTHER_IMAGES) {
      remedies.put(extension, "convert them to PNG");
    }
    remedies.put("", "if they are images, add .png or .jpg to their names");
    for (String extension : List.of("mp4", "avi", "mov", "mkv", "webm")) {
      remedies.put(extension, "extract images from them");
    }
    return remedies;
  }

  /** Whether files of this extension are images of a format that is not read. */
  static boolean isOtherImage(String extension) {
    return OTHER_IMAGES.contains(extension);
  }

  /** Detects the kind of a file. */
  public static FileKind of(Path file) throws IOException {
    byte[] head = head(Files.newInputStream(file));
    if (startsWith(head, "PK")) {
      return ZIP;
    } else if (startsWith(head, "\u001F\u008B")) {
      return isGzippedTar(file) ? TAR_GZ : IDX;
    } else if (startsWith(head, "\0\0")) {
      return IDX;
    }
    return isTar(head) ? TAR : OTHER;
  }

  /** What a file of another kind is, with the remedy, for {@code it is ...}. */
  public static String describe(Path file) throws IOException {
    byte[] head = head(Files.newInputStream(file));
    if (head.length == 0) {
      return "empty: copy it again";
    }
    if (FolderLayout.isImage(file.getFileName().toString())) {
      return "a single image: name the folder of the images";
    }
    return MAGIC.entrySet().stream()
        .filter(each -> startsWith(head, each.getKey()))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElse("neither IDX nor a zip or tar");
  }

  private static byte[] head(InputStream opened) throws IOException {
    try (InputStream in = opened) {
      return in.readNBytes(TAR_HEADER_BYTES);
    }
  }

  private static boolean startsWith(byte[] head, String magic) {
    byte[] bytes = magic.getBytes(StandardCharsets.ISO_8859_1);
    return head.length >= bytes.length
        && Arrays.equals(head, 0, bytes.length, bytes, 0, bytes.length);
  }

  private static boolean isGzippedTar(Path file) throws IOException {
    byte[] compressed;
    try (InputStream in = Files.newInputStream(file)) {
      compressed = in.readNBytes(1 << 16);
    }
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(compressed))) {
      return isTar(in.readNBytes(TAR_HEADER_BYTES));
    } catch (IOException e) {
      return false; // IDX's reader says what is damaged
    }
  }

  private static boolean isTar(byte[] head) {
    try {
      return head.length == TAR_HEADER_BYTES && TarUtils.verifyCheckSum(head);
    } catch (IllegalArgumentException e) {
      return false; // its place holds no octal number
    }
  }

  /**
   * Says which files a tree without images has, by their extensions, with the remedy: {@code found
   * 3 .parquet files (a.parquet, ...): ...}.
   */
  public static String describe(FileTree tree) {
    String special = special(tree);
    if (!special.isEmpty()) {
      return special;
    }
    Map<String, List<String>> byExtension = new LinkedHashMap<>();
    for (String name : tree.names()) {
      byExtension.computeIfAbsent(FolderLayout.extension(name), any -> new ArrayList<>()).add(name);
    }
    String found =
        byExtension.entrySet().stream()
            .sorted(Comparator.comparing(each -> -each.getValue().size()))
            .limit(MAX_NAMED)
            .map(each -> describe(each.getKey(), each.getValue()))
            .collect(Collectors.joining("; "));
    IgnoredFiles ignored = tree.ignored().without(FolderLayout.OF_OTHER_KINDS);
    return (found.isEmpty() ? "it has no files" : "found " + found)
        + (ignored.count() == 0 ? "" : "; ignored " + ignored.summary());
  }

  private static String describe(String extension, List<String> names) {
    String remedy = REMEDIES.get(extension);
    return "%d %s (%s)%s"
        .formatted(
            names.size(),
            extension.isEmpty() ? "files without an extension" : "." + extension + " files",
            ImageFiles.summarize(names, MAX_NAMED),
            remedy == null ? "" : ": " + remedy);
  }

  /** Datasets that are known by their files' names. */
  private static String special(FileTree tree) {
    for (String name : tree.names()) {
      String file = name.substring(name.lastIndexOf('/') + 1);
      if (file.matches("data_batch_\\d+") || file.matches("data_batch_\\d+\\.mat")) {
        return "found CIFAR-10 for %s (%s): download the binary version, cifar-10-binary.tar.gz"
            .formatted(file.endsWith(".mat") ? "MATLAB" : "Python", name);
      } else if (file.equals("fine_label_names.txt") || file.equals("train.bin")) {
        return "found CIFAR-100 (%s): %s".formatted(name, TO_FILES);
      } else if (tree.isArchive()
          && (IdxFiles.isTrainingSet(Path.of(file))
              || CifarSource.isTrainingBatch(Path.of(file)))) {
        return "found %s: unpack the archive and name the folder".formatted(name);
      }
    }
    return "";
  }
}
