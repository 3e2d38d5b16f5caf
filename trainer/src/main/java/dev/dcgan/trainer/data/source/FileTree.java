package dev.dcgan.trainer.data.source;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The files of a folder and its subfolders, or of an archive, named by their relative paths with
 * {@code /}. Names are unique: of two that decode alike the second gets a number. Hidden and system
 * files are left out. Thread-safe for reading.
 */
public final class FileTree implements Closeable {

  // Each decoding thread holds one file in memory.
  private static final int MAX_FILE_BYTES = 64 << 20;

  /** One file's content; any thread may read it. */
  interface Content {

    /** Reads at most {@code limit} bytes. */
    byte[] read(int limit) throws IOException;
  }

  /**
   * A file of an archive or a folder.
   *
   * @param name the relative path
   * @param path null in an archive
   */
  record Item(String name, @Nullable Path path, Content content) {}

  private final Path root;
  private final Map<String, Item> files = new TreeMap<>();
  private final @Nullable Closeable archive;
  private final IgnoredFiles ignored;

  /**
   * A tree of the given files.
   *
   * @param archive the open archive, which the tree closes; null if the root is a folder
   */
  FileTree(Path root, List<Item> items, @Nullable Closeable archive, IgnoredFiles ignored) {
    this.root = root;
    this.archive = archive;
    this.ignored = ignored;
    List<Item> sorted = new ArrayList<>(items);
    // Like the tree by UTF-16 code units, whatever the locale: the same order on every machine.
    sorted.sort(Comparator.comparing(Item::name));
    Set<String> taken = new HashSet<>();
    sorted.forEach(item -> files.put(FileNames.unique(item.name, taken), item));
  }

  /** The files of a folder and its subfolders; symbolic links are followed. */
  public static FileTree ofFolder(Path folder) throws IOException {
    IgnoredFiles ignored = new IgnoredFiles();
    List<Item> items = new ArrayList<>();
    FolderWalk.visit(
        folder,
        ignored,
        (name, path) -> items.add(new Item(name, path, limit -> read(path, limit))));
    return new FileTree(folder, items, null, ignored);
  }

  /** The files of a zip. */
  public static FileTree ofZip(Path file) throws IOException {
    return ZipTree.open(file);
  }

  /** The files of a tar. */
  public static FileTree ofTar(Path file) throws IOException {
    return TarTree.open(file);
  }

  /**
   * The files of a tar that is compressed with gzip.
   *
   * @param scratchFolder where it is decompressed; the file there disappears with the tree
   */
  public static FileTree ofGzippedTar(Path file, Path scratchFolder) throws IOException {
    return TarTree.openGzip(file, scratchFolder);
  }

  private static byte[] read(Path path, int limit) throws IOException {
    try (InputStream in = Files.newInputStream(path)) {
      return in.readNBytes(limit);
    }
  }

  /** Whether the files are those of an archive. */
  public boolean isArchive() {
    return archive != null;
  }

  /** The files' names, sorted. */
  public List<String> names() {
    return List.copyOf(files.keySet());
  }

  /** What was left out; more may be added. */
  public IgnoredFiles ignored() {
    return ignored;
  }

  /** The folders on disk that have a file whose path the predicate accepts. */
  public Set<Path> foldersWith(Predicate<Path> file) {
    Set<Path> folders = new TreeSet<>();
    for (Item item : files.values()) {
      if (item.path != null && file.test(item.path)) {
        folders.add(item.path.resolveSibling(""));
      }
    }
    return folders;
  }

  /** The file's path for messages. */
  String location(String name) {
    return archive == null ? root + "/" + name : root + "!" + name;
  }

  /**
   * Reads a file.
   *
   * @throws IOException if it cannot be read or is too large
   */
  byte[] read(String name) throws IOException {
    Item file = files.get(name);
    if (file == null) {
      throw new IllegalArgumentException("no file " + name);
    }
    // The bytes are counted: the sizes in an archive's directory may be wrong.
    byte[] bytes = file.content.read(MAX_FILE_BYTES + 1);
    if (bytes.length > MAX_FILE_BYTES) {
      throw new IOException("it is larger than %d MiB".formatted(MAX_FILE_BYTES >> 20));
    }
    return bytes;
  }

  @Override
  public void close() throws IOException {
    if (archive != null) {
      archive.close();
    }
  }
}
