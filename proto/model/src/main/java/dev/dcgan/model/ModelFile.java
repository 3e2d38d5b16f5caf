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
 * A model file whose digest is known and which is loaded by its path.
 *
 * <p>A model may be larger than the heap. The digest therefore reads it in pieces, and ONNX Runtime
 * reads the file again itself. {@link #requireUnchanged} compares the file's identity, size and
 * time after loading, so that the loaded bytes are the digested ones. A memory mapping would not be
 * safer: it reflects later writes, and if the file is truncated or its disk fails, native code that
 * reads the mapping terminates the process with SIGBUS instead of an error. A copy in direct memory
 * would have to fit beside the loaded model and into -XX:MaxDirectMemorySize, which by default is
 * no larger than the heap.
 */
public final class ModelFile {

  private static final int PIECE_BYTES = 1 << 18;

  /**
   * The properties that change when a file is replaced or written to.
   *
   * @param key the file's identity, or null if the file system has none
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
   * Computes the digest of a file.
   *
   * @throws IOException if the file cannot be read or changes meanwhile
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

  /** The size in bytes. */
  public long size() {
    return state.size;
  }

  String sha256() {
    return sha256;
  }

  /**
   * Requires that the file is unchanged since its digest was computed.
   *
   * @throws IOException if the file was replaced or written to
   */
  public void requireUnchanged() throws IOException {
    if (!State.of(path).equals(state)) {
      throw new IOException(
          "%s changed while it was read; publish a new version instead of changing one"
              .formatted(path));
    }
  }

  /**
   * Requires that the file contains the whole model. The digest does not cover weights in other
   * files, and the author of the model would choose which files are opened.
   *
   * @throws InvalidModelException if the model refers to other files
   */
  public void requireSelfContained() throws IOException {
    ExternalData.refuse(path);
  }
}
