package dev.dcgan.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import java.util.UUID;

/** Files that survive a power cut: written, forced to the disk, and renamed into place. */
public final class DurableFiles {

  private DurableFiles() {}

  /**
   * Replaces {@code file} as a whole: after a crash at any moment it holds the old bytes or the
   * new.
   *
   * @throws IOException the file holds its old bytes, or, where the folder alone could not be
   *     forced to the disk, the new
   */
  public static void replace(Path file, ByteBuffer... parts) throws IOException {
    Path folder = Objects.requireNonNull(file.toAbsolutePath().getParent(), "a file has a folder");
    Path fresh = folder.resolve("." + file.getFileName() + "-" + UUID.randomUUID());
    try {
      write(fresh, parts);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      deleteAfter(e, fresh);
      throw e;
    }
    syncFolder(folder);
  }

  private static void deleteAfter(IOException failure, Path leftover) {
    try {
      Files.deleteIfExists(leftover);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /** Writes a new file and forces it to the disk; the folder is the caller's to sync. */
  static void write(Path file, ByteBuffer... parts) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      for (ByteBuffer part : parts) {
        while (part.hasRemaining()) {
          channel.write(part);
        }
      }
      channel.force(true);
    }
  }

  static void syncFolder(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
