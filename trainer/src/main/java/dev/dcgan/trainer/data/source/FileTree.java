package dev.dcgan.trainer.data.source;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * The files of a folder and its subfolders, or of a zip, named by their relative paths with {@code
 * /}. Hidden files and the metadata files of macOS archives are left out. Thread-safe for reading.
 */
public final class FileTree implements Closeable {

  // Each decoding thread holds one file in memory.
  private static final int MAX_FILE_BYTES = 64 << 20;

  private interface Opener {

    InputStream open() throws IOException;
  }

  private final Path root;
  private final Map<String, Opener> files; // sorted by name
  private final @Nullable ZipFile zip;

  private FileTree(Path root, Map<String, Opener> files, @Nullable ZipFile zip) {
    this.root = root;
    this.files = files;
    this.zip = zip;
  }

  /** The files of a folder and its subfolders; symbolic links are followed. */
  public static FileTree ofFolder(Path folder) throws IOException {
    try (Stream<Path> paths = Files.walk(folder, FileVisitOption.FOLLOW_LINKS)) {
      return new FileTree(
          folder,
          sorted(
              paths
                  .filter(Files::isRegularFile)
                  .collect(
                      Collectors.toMap(
                          path -> nameIn(folder, path), path -> () -> Files.newInputStream(path)))),
          null);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static String nameIn(Path folder, Path path) {
    return StreamSupport.stream(folder.relativize(path).spliterator(), false)
        .map(Path::toString)
        .collect(Collectors.joining("/"));
  }

  /** The files of a zip. */
  public static FileTree ofZip(Path file) throws IOException {
    ZipFile zip;
    try {
      zip = new ZipFile(file.toFile(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IOException(
          "cannot read the zip %s: %s; copy it again, or unpack it and name the folder"
              .formatted(file, e.getMessage()),
          e);
    }
    return new FileTree(
        file,
        sorted(
            zip.stream()
                .filter(entry -> !entry.isDirectory())
                .collect(
                    Collectors.toMap(
                        FileTree::nameOf,
                        entry -> () -> zip.getInputStream(entry),
                        (one, other) -> other))),
        zip);
  }

  /** The entry's name as a relative path; some programs write {@code ./} or backslashes. */
  private static String nameOf(ZipEntry entry) {
    String name = entry.getName().replace('\\', '/');
    return name.startsWith("./") ? name.substring(2) : name;
  }

  /** Sorts by UTF-16 code units, independent of the locale: the same order on every machine. */
  private static Map<String, Opener> sorted(Map<String, Opener> files) {
    Map<String, Opener> sorted = new LinkedHashMap<>();
    files.keySet().stream()
        .filter(name -> !isHidden(name))
        .sorted()
        .forEach(name -> sorted.put(name, files.get(name)));
    return sorted;
  }

  private static boolean isHidden(String name) {
    return ("/" + name).contains("/.") || name.startsWith("__MACOSX/");
  }

  /** The files' names, sorted. */
  public List<String> names() {
    return List.copyOf(files.keySet());
  }

  /** The file's path for messages. */
  String location(String name) {
    return zip == null ? root.resolve(name).toString() : root + "!" + name;
  }

  /**
   * Reads a file.
   *
   * @throws IOException if it cannot be read or is too large
   */
  byte[] read(String name) throws IOException {
    Opener file = files.get(name);
    if (file == null) {
      throw new IllegalArgumentException("no file " + name);
    }
    try (InputStream in = file.open()) {
      // The bytes are counted: the sizes in a zip's directory may be wrong.
      byte[] bytes = in.readNBytes(MAX_FILE_BYTES + 1);
      if (bytes.length > MAX_FILE_BYTES) {
        throw new IOException("it is larger than %d MiB".formatted(MAX_FILE_BYTES >> 20));
      }
      return bytes;
    }
  }

  @Override
  public void close() throws IOException {
    if (zip != null) {
      zip.close();
    }
  }
}
