package dev.dcgan.trainer.run;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Says that a run is in this process's hands, until it is closed or the process dies.
 *
 * <p>Locks of files are the process's: to close any channel of a file lets go of them all (POSIX,
 * fcntl). So a file that is locked here already is not opened a second time.
 */
public final class RunLock implements AutoCloseable {

  private static final Set<Path> held = ConcurrentHashMap.newKeySet();

  private final Path file;
  private final FileChannel channel;

  private RunLock(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /** Takes the lock; empty where somebody has it. */
  static Optional<RunLock> tryLock(Path file) throws IOException {
    Path key = file.toAbsolutePath().normalize();
    if (!held.add(key)) {
      return Optional.empty();
    }
    Optional<RunLock> taken = Optional.empty();
    try {
      taken = lock(key);
      return taken;
    } finally {
      if (taken.isEmpty()) {
        held.remove(key);
      }
    }
  }

  private static Optional<RunLock> lock(Path file) throws IOException {
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    boolean locked = false;
    try {
      FileLock lock = channel.tryLock();
      locked = lock != null;
      return locked ? Optional.of(new RunLock(file, channel)) : Optional.empty();
    } finally {
      if (!locked) {
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
