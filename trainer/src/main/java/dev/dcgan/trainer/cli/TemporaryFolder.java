package dev.dcgan.trainer.cli;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The folder where libraries unpack their native code, {@code java.io.tmpdir}. */
final class TemporaryFolder {

  private static final Logger log = LoggerFactory.getLogger(TemporaryFolder.class);
  private static final String PROPERTY = "java.io.tmpdir";
  private static final String ONNX_RUNTIME = "onnxruntime.native.path";
  private static final String FALLBACK = "tmp";

  // ONNX Runtime, JNA and DJL need about 40 MiB.
  private static final long MIN_BYTES = 64L << 20;

  private TemporaryFolder() {}

  /**
   * Uses a folder {@code tmp} in {@code fallback} if the system's temporary folder is full. To be
   * called before any library reads the property, which each does once.
   *
   * @throws IOException if no folder can be made in the system's temporary folder: ONNX Runtime
   *     makes one, and takes no other place for it
   */
  static void require(Path fallback) throws IOException {
    Path folder = Path.of(System.getProperty(PROPERTY, "/tmp"));
    requireFolders(folder);
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
    if (System.getProperty(ONNX_RUNTIME) == null) { // An image has it unpacked.
      unpackOnnxRuntime(other);
    }
    log.warn("temporary files go to {}: {} {}", other, folder, problem);
  }

  private static void requireFolders(Path folder) throws IOException {
    try {
      Files.delete(Files.createTempDirectory(folder, "dcgan-"));
    } catch (IOException e) {
      throw new IOException(
          "cannot use the temporary folder %s: %s; name another one by JAVA_OPTS=-Djava.io.tmpdir=<folder>"
              .formatted(folder, ErrorMessages.oneLine(e)),
          e);
    }
  }

  /** ONNX Runtime unpacks with the JDK's own methods, which read the property before. */
  private static void unpackOnnxRuntime(Path folder) {
    boolean isArm = System.getProperty("os.arch", "").equals("aarch64");
    String system = (isMac() ? "osx" : "linux") + (isArm ? "-aarch64" : "-x64");
    try {
      for (String library : List.of("onnxruntime", "onnxruntime4j_jni")) {
        String file = System.mapLibraryName(library);
        String resource = "/ai/onnxruntime/native/%s/%s".formatted(system, file);
        try (InputStream in = TemporaryFolder.class.getResourceAsStream(resource)) {
          if (in == null) {
            log.warn("cannot unpack ONNX Runtime: there is no {}", resource);
            return;
          }
          // Another process may have the file of that name open.
          Path part = folder.resolve(file + "." + UUID.randomUUID());
          Files.copy(in, part);
          Files.move(part, folder.resolve(file), StandardCopyOption.ATOMIC_MOVE);
        }
      }
    } catch (IOException e) {
      log.warn("cannot unpack ONNX Runtime: {}", ErrorMessages.oneLine(e));
      return;
    }
    System.setProperty(ONNX_RUNTIME, folder.toString());
  }

  private static boolean isMac() {
    return System.getProperty("os.name", "").startsWith("Mac");
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
