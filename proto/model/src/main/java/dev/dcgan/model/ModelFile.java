package dev.dcgan.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import org.jspecify.annotations.Nullable;

/**
 * A model's file whose bytes have been digested, to be loaded by its path.
 *
 * <p>A model may be larger than the heap: it is read in pieces, and ONNX Runtime reads it once more
 * by itself. That what is loaded is what was digested follows from the file's identity, size and
 * time, which {@link #requireUnchanged} compares after loading. A mapping of the file would not be
 * safer: it shows what is written into the file later, and where the file is truncated, or its disk
 * fails, native code that reads the mapping ends the whole process by SIGBUS, where a read fails
 * with an error. A copy in direct memory would have to fit beside the model that is made of it, and
 * into -XX:MaxDirectMemorySize, which is no larger than the heap unless somebody sets it.
 */
public final class ModelFile {

  private static final int PIECE_BYTES = 1 << 18;

  /**
   * What changes when a file is replaced or written to.
   *
   * @param key the file's identity on its file system, where that has one
   */
  private record State(@Nullable Object key, long size, FileTime modified) {

    static State of(Path file) throws IOException {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
      return new State(attributes.fileKey(), attributes.size(), attributes.lastModifiedTime());
    }
  }

  private final Path path;
  private final State state;
  private final String sha256;

  private ModelFile(Path path, State state, String sha256) {
    this.path = path;
    this.state = state;
    this.sha256 = sha256;
  }

  /**
   * Digests a file.
   *
   * @throws IOException it cannot be read, or changed meanwhile
   */
  static ModelFile digest(Path path) throws IOException {
    State before = State.of(path);
    Sha256 digest = new Sha256();
    ByteBuffer piece = ByteBuffer.allocate(PIECE_BYTES);
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      while (channel.read(piece.clear()) >= 0) {
        digest.add(piece.flip());
      }
    }
    ModelFile file = new ModelFile(path, before, digest.hex());
    file.requireUnchanged();
    return file;
  }

  public Path path() {
    return path;
  }

  /** In bytes. */
  public long size() {
    return state.size;
  }

  String sha256() {
    return sha256;
  }

  /**
   * Requires that the file is still the one that was digested.
   *
   * @throws IOException it was replaced or written to
   */
  public void requireUnchanged() throws IOException {
    if (!State.of(path).equals(state)) {
      throw new IOException(
          "%s changed while it was read; publish a new version instead of changing one"
              .formatted(path));
    }
  }

  /**
   * Requires that all of the model is in this file. Weights in other files are in no digest, and
   * whoever writes the model chooses which files are opened.
   *
   * @throws InvalidModelException it names other files
   */
  public void requireSelfContained() throws IOException {
    ExternalData.refuse(path);
  }
}
