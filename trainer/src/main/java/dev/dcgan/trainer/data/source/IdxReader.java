package dev.dcgan.trainer.data.source;

import static java.util.Objects.requireNonNullElse;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * Reads one IDX file of uint8, plain or gzip (detected by its first bytes, not by its name).
 *
 * <p>The format (LeCun, "The MNIST database"): a magic number of two zero bytes, the type (8 for
 * uint8) and the number of dimensions; each dimension as a big-endian int32; the data. Every error
 * names the file. Memory is allocated as data arrives, never by the size in the header. Not
 * thread-safe.
 */
final class IdxReader implements Closeable {

  private static final int UINT8 = 0x0800;
  private static final int BUFFER_BYTES = 1 << 16;

  private final Path file;
  private final InputStream in;
  private final int[] dimensions;

  // Mutable state
  private long read;

  private IdxReader(Path file, InputStream in, int[] dimensions) {
    this.file = file;
    this.in = in;
    this.dimensions = dimensions;
  }

  /**
   * Opens a file and checks its header.
   *
   * @param rank the expected number of dimensions: 3 for images, 1 for labels
   */
  static IdxReader open(Path file, int rank) throws IOException {
    InputStream raw = new BufferedInputStream(Files.newInputStream(file), BUFFER_BYTES);
    try {
      InputStream in = gunzip(raw);
      return new IdxReader(file, in, header(file, in, rank));
    } catch (ZipException | EOFException e) {
      raw.close();
      throw damaged(file, e);
    } catch (IOException e) {
      raw.close();
      throw e;
    }
  }

  private static InputStream gunzip(InputStream raw) throws IOException {
    raw.mark(2);
    boolean gzip = raw.read() == 0x1F && raw.read() == 0x8B;
    raw.reset();
    return gzip
        ? new BufferedInputStream(new GZIPInputStream(raw, BUFFER_BYTES), BUFFER_BYTES)
        : raw;
  }

  private static int[] header(Path file, InputStream in, int rank) throws IOException {
    int length = Integer.BYTES * (1 + rank);
    byte[] bytes = in.readNBytes(length);
    ByteBuffer header = ByteBuffer.wrap(Arrays.copyOf(bytes, length)); // big-endian
    int magic = header.getInt();
    if (bytes.length >= Integer.BYTES && magic != (UINT8 | rank)) {
      throw new IOException(
          "cannot read %s: magic number 0x%08X (%s); expected 0x%08X (%s)"
              .formatted(file, magic, meaning(magic), UINT8 | rank, meaning(UINT8 | rank)));
    }
    if (bytes.length < length) {
      throw new IOException(
          "cannot read %s: it is truncated after %d bytes; expected an IDX header of %d: copy it again"
              .formatted(file, bytes.length, length));
    }
    int[] dimensions = new int[rank];
    for (int i = 0; i < rank; i++) {
      dimensions[i] = header.getInt();
      if (dimensions[i] < 1) {
        throw new IOException(
            "cannot read %s: %d as dimension %d of %d; expected at least 1"
                .formatted(file, dimensions[i], i + 1, rank));
      }
    }
    return dimensions;
  }

  private static String meaning(int magic) {
    return switch (magic) {
      case UINT8 | 1 -> "labels";
      case UINT8 | 3 -> "images";
      default -> "neither images nor labels of bytes";
    };
  }

  int dimension(int i) {
    return dimensions[i];
  }

  /** Reads the next {@code n} bytes. */
  byte[] next(int n) throws IOException {
    try {
      byte[] bytes = in.readNBytes(n);
      read += bytes.length;
      if (bytes.length < n) {
        throw new IOException(
            "cannot read %s: it is truncated after %d bytes of data; expected %s: copy it again"
                .formatted(file, read, expectedShape()));
      }
      return bytes;
    } catch (ZipException | EOFException e) {
      throw damaged(file, e);
    }
  }

  /** Checks that the file ends here; with gzip, its checksum too. */
  void expectEnd() throws IOException {
    try {
      if (in.read() != -1) {
        throw new IOException(
            "cannot read %s: it continues after %d bytes of data; expected %s"
                .formatted(file, read, expectedShape()));
      }
    } catch (ZipException | EOFException e) {
      throw damaged(file, e);
    }
  }

  private String expectedShape() {
    return Arrays.stream(dimensions).mapToObj(Integer::toString).collect(Collectors.joining("x"));
  }

  private static IOException damaged(Path file, IOException cause) {
    return new IOException(
        "cannot read %s: damaged gzip (%s); copy or download it again"
            .formatted(file, requireNonNullElse(cause.getMessage(), "it ends in its header")),
        cause);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
