package dev.dcgan.trainer.run;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The lock of a run, held until it is closed or the process ends.
 *
 * <p>File locks belong to the process: closing any channel of a file releases all its locks (POSIX,
 * fcntl). So a file that is locked already is not opened a second time.
 */
final class RunLock implements AutoCloseable {

  private static final Set<Path> held = ConcurrentHashMap.newKeySet();

  private final Path file;
  private final FileChannel channel;

  private RunLock(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /** Locks; empty if it is locked already. */
  static Optional<RunLock> tryLock(Path file) throws IOException {
    Path key = file.toAbsolutePath().normalize();
    if (!held.add(key)) {
      return Optional.empty();
    }
    Optional<RunLock> locked = Optional.empty();
    try {
      locked = lock(key);
      return locked;
    } finally {
      if (locked.isEmpty()) {
        held.remove(key);
      }
    }
  }

  /** Whether a process holds the lock, this one or another. A file that is absent is not locked. */
  static boolean isHeld(Path file) throws IOException {
    Path key = file.toAbsolutePath().normalize();
    if (!held.add(key)) {
      return true;
    }
    try (FileChannel channel = FileChannel.open(key, StandardOpenOption.READ);
        FileLock lock = channel.tryLock(0, Long.MAX_VALUE, true)) {
      return lock == null;
    } catch (NoSuchFileException e) {
      return false;
    } finally {
      held.remove(key);
    }
  }

  private static Optional<RunLock> lock(Path file) throws IOException {
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    @Nullable FileLock lock = null;
    try {
      lock = channel.tryLock();
      return lock == null ? Optional.empty() : Optional.of(new RunLock(file, channel));
    } finally {
      if (lock == null) {
        channel.close();
      }
    }
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close();
    } finally {
      held.remove(file);
    }
  }
}
