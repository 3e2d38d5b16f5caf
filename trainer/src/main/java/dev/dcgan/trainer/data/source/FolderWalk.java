package dev.dcgan.trainer.data.source;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;

/**
 * Visits the files of a folder and its subfolders, following symbolic links. What cannot be read or
 * is not a dataset's is added to the ignored files; only the folder itself must be readable.
 */
final class FolderWalk {

  private final BiConsumer<String, Path> visitor;
  private final IgnoredFiles ignored;

  // Mutable state
  private final Deque<Object> ancestors = new ArrayDeque<>(); // keys of the folders on the way

  private FolderWalk(BiConsumer<String, Path> visitor, IgnoredFiles ignored) {
    this.visitor = visitor;
    this.ignored = ignored;
  }

  /**
   * Visits each regular file with its relative path, in an order that depends on the names only.
   *
   * @throws IOException if the folder itself cannot be listed
   */
  static void visit(Path folder, IgnoredFiles ignored, BiConsumer<String, Path> visitor)
      throws IOException {
    FolderWalk walk = new FolderWalk(visitor, ignored);
    List<Path> children;
    try {
      children = list(folder);
    } catch (AccessDeniedException e) {
      throw new IOException(
          "cannot open %s: no permission to list this folder; make it readable".formatted(folder),
          e);
    }
    walk.visitAll(key(folder), children, "");
  }

  private static List<Path> list(Path folder) throws IOException {
    List<Path> children = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder)) {
      stream.forEach(children::add);
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    // Different names may decode alike: then the bytes decide.
    children.sort(Comparator.comparing(FileNames::of).thenComparing(Comparator.naturalOrder()));
    return children;
  }

  private static Object key(Path folder) throws IOException {
    Object key = Files.readAttributes(folder, BasicFileAttributes.class).fileKey();
    return key == null ? folder.toRealPath() : key;
  }

  private void visitAll(Object key, List<Path> children, String prefix) {
    ancestors.push(key);
    for (Path child : children) {
      visit(child, prefix + FileNames.of(child));
    }
    ancestors.pop();
  }

  private void visit(Path path, String name) {
    try {
      Optional<String> system = SystemFiles.reason(name.substring(name.lastIndexOf('/') + 1));
      if (system.isPresent()) {
        ignored.add(system.get(), Files.isDirectory(path) ? name + "/" : name);
        return;
      }
      BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
      if (attributes.isDirectory()) {
        visitFolder(path, name);
      } else if (attributes.isRegularFile()) {
        visitor.accept(name, path);
      } else {
        ignored.add("neither a file nor a folder", name);
      }
    } catch (AccessDeniedException e) {
      ignored.add("no permission to read", name);
    } catch (IOException e) {
      ignored.add(Files.isSymbolicLink(path) ? "broken symbolic link" : "cannot be read", name);
    }
  }

  private void visitFolder(Path folder, String name) throws IOException {
    Object key = key(folder);
    if (ancestors.contains(key)) {
      ignored.add("loop of symbolic links", name + "/");
      return;
    }
    List<Path> children;
    try {
      children = list(folder);
    } catch (AccessDeniedException e) {
      ignored.add("no permission to read", name + "/");
      return;
    }
    visitAll(key, children, name + "/");
  }
}
