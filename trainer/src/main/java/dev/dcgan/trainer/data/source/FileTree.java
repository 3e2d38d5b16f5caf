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
 * Files in a folder and the folders in it, or in a zip, under the same names: from the top, with
 * {@code /} between. Hidden ones, and those that archives from a Mac add, are left out.
 *
 * <p>Any number of threads may read at once.
 */
public final class FileTree implements Closeable {

  // A file is held in memory while it is decoded, one for each thread.
  private static final int MAX_BYTES = 64 << 20;

  private interface Opening {

    InputStream open() throws IOException;
  }

  private final Path root;
  private final Map<String, Opening> files; // in order of their names
  private final @Nullable ZipFile zip;

  private FileTree(Path root, Map<String, Opening> files, @Nullable ZipFile zip) {
    this.root = root;
    this.files = files;
    this.zip = zip;
  }

  /** The files in a folder and below; links are followed. */
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

  /** The files in a zip. */
  public static FileTree ofZip(Path file) throws IOException {
    ZipFile zip;
    try {
      zip = new ZipFile(file.toFile(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IOException(
          "%s is no zip that can be read (%s): copy it again, or unpack it and name the folder"
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

  /** The name as a folder would have it: some programs write {@code ./} or backslashes. */
  private static String nameOf(ZipEntry entry) {
    String name = entry.getName().replace('\\', '/');
    return name.startsWith("./") ? name.substring(2) : name;
  }

  /** By UTF-16 units, whatever the locale: the same order everywhere. */
  private static Map<String, Opening> sorted(Map<String, Opening> files) {
    Map<String, Opening> sorted = new LinkedHashMap<>();
    files.keySet().stream()
        .filter(name -> !isHidden(name))
        .sorted()
        .forEach(name -> sorted.put(name, files.get(name)));
    return sorted;
  }

  private static boolean isHidden(String name) {
    return ("/" + name).contains("/.") || name.startsWith("__MACOSX/");
  }

  /** The files' names, in order. */
  public List<String> names() {
    return List.copyOf(files.keySet());
  }

  /** What a message calls a file. */
  String place(String name) {
    return zip == null ? root.resolve(name).toString() : root + "!" + name;
  }

  /**
   * A file's bytes.
   *
   * @throws IOException it cannot be read, or is larger than any picture should be
   */
  byte[] read(String name) throws IOException {
    Opening file = files.get(name);
    if (file == null) {
      throw new IllegalArgumentException("no file " + name);
    }
    try (InputStream in = file.open()) {
      // Counted as they come: what a zip's directory says of sizes need not be so.
      byte[] bytes = in.readNBytes(MAX_BYTES + 1);
      if (bytes.length > MAX_BYTES) {
        throw new IOException("it is larger than %d MiB".formatted(MAX_BYTES >> 20));
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
