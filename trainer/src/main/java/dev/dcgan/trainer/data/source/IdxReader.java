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
import java.util.List;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * Reads one IDX file of uint8 or int32, plain or gzip (detected by its first bytes, not by its
 * name).
 *
 * <p>The format (LeCun, "The MNIST database"): a magic number of two zero bytes, the type (8 for
 * uint8, 12 for int32) and the number of dimensions; each dimension as a big-endian int32; the
 * data. Every error names the file. Memory is allocated as data arrives, never by the size in the
 * header. Not thread-safe.
 */
final class IdxReader implements Closeable {

  private static final int UINT8 = 0x0800;
  private static final int INT32 = 0x0C00;
  private static final int MAX_LABEL = 65_535;
  private static final int MAX_LABEL_COLUMNS = 256;
  private static final int BUFFER_BYTES = 1 << 16;

  private final Path file;
  private final InputStream in;
  private final int magic;
  private final int[] dimensions;

  // Mutable state
  private long read;

  private IdxReader(Path file, InputStream in, int magic, int[] dimensions) {
    this.file = file;
    this.in = in;
    this.magic = magic;
    this.dimensions = dimensions;
  }

  /** Opens a file of images: uint8 (images, height, width). */
  static IdxReader openImages(Path file) throws IOException {
    return openImages(file, Files.newInputStream(file));
  }

  /** As {@link #openImages(Path)}; closes the stream if it cannot be read. */
  static IdxReader openImages(Path file, InputStream content) throws IOException {
    return open(file, content, List.of(UINT8 | 3));
  }

  /** Opens a file of labels: uint8 or int32 (images) or int32 (images, columns). */
  static IdxReader openLabels(Path file) throws IOException {
    return openLabels(file, Files.newInputStream(file));
  }

  /** As {@link #openLabels(Path)}; closes the stream if it cannot be read. */
  static IdxReader openLabels(Path file, InputStream content) throws IOException {
    return open(file, content, List.of(UINT8 | 1, INT32 | 1, INT32 | 2));
  }

  private static IdxReader open(Path file, InputStream content, List<Integer> expected)
      throws IOException {
    InputStream raw = new BufferedInputStream(content, BUFFER_BYTES);
    try {
      InputStream in = gunzip(raw);
      int magic = magic(file, in, expected);
      return new IdxReader(file, in, magic, dimensions(file, in, magic & 0xFF));
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

  private static int magic(Path file, InputStream in, List<Integer> expected) throws IOException {
    byte[] bytes = in.readNBytes(Integer.BYTES);
    if (bytes.length < Integer.BYTES) {
      throw truncated(file, bytes.length, Integer.BYTES * (1 + (expected.get(0) & 0xFF)));
    }
    int magic = ByteBuffer.wrap(bytes).getInt(); // big-endian
    if (!expected.contains(magic)) {
      throw new IOException(
          "cannot read %s: magic number 0x%08X (%s); expected 0x%08X (%s)"
              .formatted(file, magic, meaning(magic), expected.get(0), meaning(expected.get(0))));
    }
    return magic;
  }

  private static IOException truncated(Path file, int bytes, int expected) {
    return new IOException(
        "cannot read %s: it is truncated after %d bytes; expected an IDX header of %d: copy it again"
            .formatted(file, bytes, expected));
  }

  private static int[] dimensions(Path file, InputStream in, int rank) throws IOException {
    byte[] bytes = in.readNBytes(Integer.BYTES * rank);
    if (bytes.length < Integer.BYTES * rank) {
      throw truncated(file, Integer.BYTES + bytes.length, Integer.BYTES * (1 + rank));
    }
    ByteBuffer header = ByteBuffer.wrap(bytes);
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
      case UINT8 | 1, INT32 | 1, INT32 | 2 -> "labels";
      case UINT8 | 3 -> "images";
      default -> "neither images nor labels";
    };
  }

  int dimension(int i) {
    return dimensions[i];
  }

  /** Reads the labels of a file of labels: the first column. */
  int[] labels() throws IOException {
    int columns = dimensions.length == 1 ? 1 : dimensions[1];
    if (columns > MAX_LABEL_COLUMNS) {
      throw new IOException(
          "cannot read %s: %d columns of labels; expected at most %d"
              .formatted(file, columns, MAX_LABEL_COLUMNS));
    }
    boolean isBytes = (magic & ~0xFF) == UINT8;
    int[] labels = {};
    for (int i = 0; i < dimensions[0]; i++) {
      ByteBuffer row = ByteBuffer.wrap(next((isBytes ? 1 : Integer.BYTES) * columns));
      int label = isBytes ? row.get() & 0xFF : row.getInt();
      if (label < 0 || label > MAX_LABEL) {
        throw new IOException(
            "cannot read %s: label %d of image %d; expected 0 to %d"
                .formatted(file, label, i, MAX_LABEL));
      }
      if (i == labels.length) {
        labels = Arrays.copyOf(labels, Math.min(dimensions[0], 2 * i + 1024));
      }
      labels[i] = label;
    }
    expectEnd();
    return labels;
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
