package dev.dcgan.faults;

import static dev.dcgan.e2e.Program.assumeRuns;

import dev.dcgan.e2e.Program;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.opentest4j.TestAbortedException;

/**
 * A small disk that fails on request. It needs root and the permission to mount, without which the
 * test is skipped.
 *
 * <p>The file system is mounted beside the folder that programs see, and bound to that folder, so
 * that it can vanish and return with its files.
 */
final class Disk implements AutoCloseable {

  private final Path backing;
  private final Path folder;

  private Disk(Path backing, Path folder) throws IOException, InterruptedException {
    this.backing = backing;
    this.folder = Files.createDirectories(folder);
    // Ctrl-C must not leave mounts behind.
    Runtime.getRuntime().addShutdownHook(new Thread(this::unmount, "unmount"));
    run("mount", "--bind", backing.toString(), folder.toString());
  }

  /** A disk in memory. */
  static Disk inMemory(Path parent, int megabytes) throws IOException, InterruptedException {
    Path backing = Files.createDirectories(parent.resolve("backing"));
    assumeMounts("mount", "-t", "tmpfs", "-o", "size=" + megabytes + "m", "tmpfs", "" + backing);
    return new Disk(backing, parent.resolve("disk"));
  }

  /** A file with ext4, whose device can be made slow by {@link ControlGroup}. */
  static Disk onLoopDevice(Path parent, int megabytes) throws IOException, InterruptedException {
    assumeRuns("mkfs.ext4", "mkfs.ext4", "-V");
    Path image = parent.resolve("image");
    Path backing = Files.createDirectories(parent.resolve("backing"));
    run("truncate", "-s", megabytes + "M", image.toString());
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "" + image);
    assumeMounts("mount", "-o", "loop", image.toString(), backing.toString());
    return new Disk(backing, parent.resolve("disk"));
  }

  /** The folder that programs see. */
  Path folder() {
    return folder;
  }

  /** The numbers of its device, as {@code 7:0}. */
  String device() throws IOException, InterruptedException {
    return Program.run(Path.of("."), List.of("mountpoint", "-d", backing.toString())).strip();
  }

  /** Writes a file until there is no room; returns that file, which makes room when deleted. */
  Path fill() throws IOException {
    Path file = folder.resolve("filler");
    try (OutputStream out = Files.newOutputStream(file)) {
      byte[] block = new byte[4096];
      while (true) {
        out.write(block);
      }
    } catch (IOException e) {
      if (!String.valueOf(e.getMessage()).contains("No space left")) {
        throw e;
      }
    }
    return file;
  }

  /**
   * Makes it read-only. Files that are open stay writable: the kernel does not remount a file
   * system that has such, so it is mounted anew.
   */
  void makeReadOnly() throws IOException, InterruptedException {
    vanish();
    reappear();
    run("mount", "-o", "remount,bind,ro", folder.toString());
  }

  /** Makes it writable again. */
  void makeWritable() throws IOException, InterruptedException {
    vanish();
    reappear();
  }

  /** Takes it away; the folder is empty, and files that are open stay open. */
  void vanish() throws IOException, InterruptedException {
    run("umount", "--lazy", folder.toString());
  }

  /** Brings it back with its files. */
  void reappear() throws IOException, InterruptedException {
    run("mount", "--bind", backing.toString(), folder.toString());
  }

  /** Unmounts everything, however often it was mounted. */
  @Override
  public void close() {
    unmount();
  }

  private void unmount() {
    for (Path mounted : List.of(folder, backing)) {
      try {
        new ProcessBuilder(
                "sh", "-c", "while umount --lazy \"$0\" 2>/dev/null; do :; done", "" + mounted)
            .start()
            .onExit()
            .join();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private static void assumeMounts(String... command) throws IOException, InterruptedException {
    try {
      run(command);
    } catch (AssertionError e) {
      throw new TestAbortedException(
          "mounts are not permitted: " + String.valueOf(e.getMessage()).replace('\n', ' '));
    }
  }

  private static void run(String... command) throws IOException, InterruptedException {
    String unused = Program.run(Path.of("."), List.of(command));
  }
}
