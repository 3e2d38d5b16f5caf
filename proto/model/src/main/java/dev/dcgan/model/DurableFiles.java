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

/** Files that survive a power cut: written, forced to the disk, and renamed into place. */
public final class DurableFiles {

  /** Gives a file a second name: {@link Files#createLink}. */
  interface Linker {
    void link(Path name, Path file) throws IOException;
  }

  /** Writes what a file is to hold. */
  public interface Content {
    void writeTo(FileChannel file) throws IOException;
  }

  // A dot, the name to be, a dash, a UUID.
  private static final Pattern TEMPORARY =
      Pattern.compile("\\.(.+)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

  private DurableFiles() {}

  /**
   * Replaces {@code file} as a whole: after a crash at any moment it holds the old bytes or the
   * new.
   *
   * @throws IOException the file holds its old bytes, or, where the folder alone could not be
   *     forced to the disk, the new
   */
  public static void replace(Path file, ByteBuffer... parts) throws IOException {
    replace(file, channel -> writeAll(channel, parts));
  }

  /** As {@link #replace(Path, ByteBuffer...)}, for more than fits into memory. */
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
   * Makes {@code file} as a whole, unless there is one: of any number of processes, on any number
   * of machines, one does. By a hard link, which the file system must have: NFS has, and no lock is
   * needed.
   *
   * @return whether it was made
   * @throws IOException it was not; where it was for want of hard links, the message says so
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
        return false; // Who made it took ours for what a dead process left.
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
   * Makes a folder, with those above it that are missing, and forces what was made to the disk: a
   * file in it is as durable as they are.
   *
   * @return {@code folder}
   */
  public static Path createFolder(Path folder) throws IOException {
    List<Path> holders = new ArrayList<>(); // Of what is missing, from the bottom up.
    for (Path missing = folder.toAbsolutePath(); Files.notExists(missing); ) {
      missing = folder(missing);
      holders.add(missing);
    }
    Files.createDirectories(folder);
    for (Path holder : holders) {
      syncFolder(holder);
    }
    return folder;
  }

  /** Forces to the disk which files a folder has. */
  public static void syncFolder(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /**
   * The name that a temporary file of this class was to get; empty: {@code path} is none. A process
   * that was killed leaves such a file.
   */
  public static Optional<String> unfinished(Path path) {
    Matcher name = TEMPORARY.matcher(String.valueOf(path.getFileName()));
    return name.matches() ? Optional.ofNullable(name.group(1)) : Optional.empty();
  }

  /** On Linux a file system without hard links fails as any other does: EPERM or ENOTSUP. */
  private static void link(Path file, Path fresh, Linker linker) throws IOException {
    try {
      linker.link(file, fresh);
    } catch (FileAlreadyExistsException | NoSuchFileException e) {
      throw e;
    } catch (FileSystemException e) {
      throw new IOException(
          "%s cannot get a hard link (%s); choose a folder on a file system that has them"
              .formatted(folder(file), e.getReason()),
          e);
    }
  }

  private static Path folder(Path file) {
    return Objects.requireNonNull(file.toAbsolutePath().getParent(), "a file has a folder");
  }

  /** Another one each time: two processes that write one file never write into each other's. */
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

  /** Writes a new file and forces it to the disk; the folder is the caller's to sync. */
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
