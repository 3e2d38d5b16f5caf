package dev.dcgan.trainer.cli;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The folder where libraries unpack their native code, {@code java.io.tmpdir}. */
final class TemporaryFolder {

  private static final Logger log = LoggerFactory.getLogger(TemporaryFolder.class);
  private static final String PROPERTY = "java.io.tmpdir";
  private static final String FALLBACK = "tmp";

  // ONNX Runtime, JNA and DJL need about 40 MiB.
  private static final long MIN_BYTES = 64L << 20;

  private TemporaryFolder() {}

  /**
   * Uses a folder {@code tmp} in {@code fallback} if the system's temporary folder is full or
   * read-only. To be called before any library reads the property, which each does once.
   */
  static void require(Path fallback) {
    Path folder = Path.of(System.getProperty(PROPERTY, "/tmp"));
    String problem = problem(folder);
    if (problem.isEmpty()) {
      return;
    }
    Path other = fallback.resolve(FALLBACK).toAbsolutePath();
    String otherProblem = problem(other);
    if (!otherProblem.isEmpty()) {
      // Native code may be unpacked already; if not, the error of its library follows.
      log.warn("{} {}, and {} {}: make room in one of them", folder, problem, other, otherProblem);
      return;
    }
    System.setProperty(PROPERTY, other.toString());
    log.warn("temporary files go to {}: {} {}", other, folder, problem);
  }

  private static String problem(Path folder) {
    Path probe = folder.resolve("dcgan-" + UUID.randomUUID());
    try {
      AtomicFiles.createFolder(folder);
      Files.write(probe, new byte[1]);
      Files.delete(probe);
      long free = Files.getFileStore(folder).getUsableSpace();
      return free < MIN_BYTES ? "has only %d MiB of space".formatted(free >> 20) : "";
    } catch (IOException e) {
      return "cannot be written (%s)".formatted(ErrorMessages.oneLine(e));
    }
  }
}
