package dev.dcgan.faults;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.opentest4j.TestAbortedException;

/**
 * A control group of one resource, which programs are started in. Both hierarchies of Linux are
 * supported: a mount for each controller (version 1), and one for all (version 2).
 */
final class ControlGroup implements AutoCloseable {

  private static final Path ROOT = Path.of("/sys/fs/cgroup");

  private final Path folder;

  private ControlGroup(Path folder) {
    this.folder = folder;
  }

  /** A group whose processes share that much memory; the kernel kills what needs more. */
  static ControlGroup withMemory(int megabytes) {
    long bytes = (long) megabytes << 20;
    return Files.isDirectory(ROOT.resolve("memory"))
        ? create("memory", "memory.limit_in_bytes", Long.toString(bytes))
        : create("memory", "memory.max", Long.toString(bytes));
  }

  /** A group that reads and writes a device slowly. */
  static ControlGroup withSlowDevice(String device, int kilobytesPerSecond) {
    int rate = kilobytesPerSecond << 10;
    if (!Files.isDirectory(ROOT.resolve("blkio"))) {
      return create("io", "io.max", "%s rbps=%d wbps=%d".formatted(device, rate, rate));
    }
    ControlGroup group = create("blkio", "blkio.throttle.write_bps_device", device + " " + rate);
    try {
      Files.writeString(
          group.folder.resolve("blkio.throttle.read_bps_device"), device + " " + rate);
      return group;
    } catch (IOException e) {
      group.close();
      throw absent("blkio", e);
    }
  }

  /** A command that runs in the group. */
  List<String> run(List<String> command) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "sh", "-c", "echo $$ > \"$0\"; exec \"$@\"", "" + folder.resolve("cgroup.procs")));
    all.addAll(command);
    return all;
  }

  /** Removes the group, whose processes must have ended. */
  @Override
  public void close() {
    boolean unused = folder.toFile().delete();
  }

  private static ControlGroup create(String controller, String file, String value) {
    Path parent = ROOT.resolve(controller);
    boolean separate = Files.isDirectory(parent);
    Path folder =
        (separate ? parent : ROOT).resolve("dcgan-faults-" + ProcessHandle.current().pid());
    ControlGroup group = new ControlGroup(folder);
    try {
      if (!separate) {
        Files.writeString(ROOT.resolve("cgroup.subtree_control"), "+" + controller);
      }
      Files.createDirectory(folder);
      Files.writeString(folder.resolve(file), value);
      return group;
    } catch (IOException e) {
      group.close();
      throw absent(controller, e);
    }
  }

  private static TestAbortedException absent(String controller, IOException e) {
    return new TestAbortedException("no control group for " + controller + ": " + e);
  }
}
