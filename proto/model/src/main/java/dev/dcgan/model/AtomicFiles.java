package dev.dcgan.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes files atomically and durably: each file is written under a temporary name, forced to the
 * disk and renamed, so that it survives a power failure.
 */
public final class AtomicFiles {

  /** Creates a hard link, as {@link Files#createLink} does. */
  interface Linker {
    void link(Path name, Path file) throws IOException;
  }

  /** Writes the content of a file. */
  public interface Content {
    void writeTo(FileChannel file) throws IOException;
  }

  // A dot, the final name, a dash, a UUID.
  private static final Pattern TEMPORARY =
      Pattern.compile("\\.(.+)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

  private AtomicFiles() {}

  /**
   * Replaces {@code file} atomically: after a crash at any moment it holds either the old bytes or
   * the new ones.
   *
   * @throws IOException if the file could not be replaced; it holds its old bytes, or the new ones
   *     if only forcing the folder to the disk failed
   */
  public static void replace(Path file, ByteBuffer... parts) throws IOException {
    replace(file, channel -> writeAll(channel, parts));
  }

  /** As {@link #replace(Path, ByteBuffer...)}, for content that does not fit into memory. */
  public static void replace(Path file, Content content) throws IOException {
    Path fresh = temporary(file);
    try {
      write(fresh, content);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException | RuntimeException | Error e) {
      deleteAfter(e, fresh);
      throw e;
    }
    syncFolder(folder(file));
  }

  /**
   * Creates {@code file} atomically unless it exists. If several processes on any number of
   * machines try, exactly one succeeds. The method uses a hard link instead of a lock; the file
   * system must support hard links, as NFS does.
   *
   * @return whether the file was created by this call
   * @throws IOException if the file could not be created, for example because the file system has
   *     no hard links
   */
  public static boolean create(Path file, ByteBuffer... parts) throws IOException {
    return create(file, Files::createLink, parts);
  }

  static boolean create(Path file, Linker linker, ByteBuffer... parts) throws IOException {
    Path fresh = temporary(file);
    try {
      write(fresh, channel -> writeAll(channel, parts));
      link(file, fresh, linker);
    } catch (FileAlreadyExistsException e) {
      deleteAfter(e, fresh);
      return false;
    } catch (NoSuchFileException e) {
      if (Files.exists(file)) {
        return false; // Its creator deleted our temporary file as left over by a dead process.
      }
      throw e;
    } catch (IOException | RuntimeException | Error e) {
      deleteAfter(e, fresh);
      throw e;
    }
    Files.deleteIfExists(fresh);
    syncFolder(folder(file));
    return true;
  }

  /**
   * Creates a folder and its missing parents and forces them to the disk. Without this, a file in
   * the folder could be lost with the folder.
   *
   * @return {@code folder}
   */
  public static Path createFolder(Path folder) throws IOException {
    List<Path> parents = new ArrayList<>(); // The parents of missing folders, from the bottom up.
    for (Path missing = folder.toAbsolutePath(); Files.notExists(missing); ) {
      missing = folder(missing);
      parents.add(missing);
    }
    Files.createDirectories(folder);
    for (Path parent : parents) {
      syncFolder(parent);
    }
    return folder;
  }

  /** Forces a folder's entries, the names of its files, to the disk. */
  public static void syncFolder(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /**
   * Returns the final name of a temporary file of this class, or empty if {@code path} is not one.
   * A killed process leaves such files behind.
   */
  public static Optional<String> unfinished(Path path) {
    Matcher name = TEMPORARY.matcher(String.valueOf(path.getFileName()));
    return name.matches() ? Optional.ofNullable(name.group(1)) : Optional.empty();
  }

  /** Linux reports missing support for hard links as EPERM or ENOTSUP, like other failures. */
  private static void link(Path file, Path fresh, Linker linker) throws IOException {
    try {
      linker.link(file, fresh);
    } catch (FileAlreadyExistsException | NoSuchFileException e) {
      throw e;
    } catch (FileSystemException e) {
      throw new IOException(
          "cannot create a hard link in %s (%s); choose a folder on a file system with hard links"
              .formatted(folder(file), e.getReason()),
          e);
    }
  }

  private static Path folder(Path file) {
    return Objects.requireNonNull(file.toAbsolutePath().getParent(), "a file has a parent folder");
  }

  /**
   * The name is unique, so that two processes that write one file use different temporary files.
   */
  private static Path temporary(Path file) {
    return folder(file).resolve("." + file.getFileName() + "-" + UUID.randomUUID());
  }

  private static void deleteAfter(Throwable failure, Path leftover) {
    try {
      Files.deleteIfExists(leftover);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /** Writes a new file and forces it to the disk. The caller must sync the folder. */
  static void write(Path file, ByteBuffer... parts) throws IOException {
    write(file, channel -> writeAll(channel, parts));
  }

  private static void write(Path file, Content content) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      content.writeTo(channel);
      channel.force(true);
    }
  }

  private static void writeAll(FileChannel channel, ByteBuffer... parts) throws IOException {
    for (ByteBuffer part : parts) {
      while (part.hasRemaining()) {
        channel.write(part);
      }
    }
  }
}
