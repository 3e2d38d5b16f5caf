package dev.dcgan.trainer.tensorboard;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * Writes a file of TFRecords, one whole record at a time; used by one thread.
 *
 * <p>A record is, little-endian: the data's length (uint64), the length's masked CRC-32C (uint32),
 * the data, the data's masked CRC-32C (uint32); see TensorFlow's {@code record_writer.h}. Writes
 * are not buffered, so that readers see each record at once and a crash loses none.
 */
final class RecordFile implements Closeable {

  private static final int HEADER_BYTES = Long.BYTES + Integer.BYTES;
  private static final int FOOTER_BYTES = Integer.BYTES;
  private static final int MASK_DELTA = 0xA282EAD8;

  // Not a channel: an interrupt would close it.
  private final RandomAccessFile file;

  // Mutable state
  private long end;

  /** Appends to an empty file; takes ownership of it. */
  RecordFile(RandomAccessFile file) {
    this.file = file;
  }

  /**
   * Creates the file.
   *
   * @throws java.nio.file.FileAlreadyExistsException if it exists
   */
  static RecordFile create(Path path) throws IOException {
    Files.createFile(path);
    return new RecordFile(new RandomAccessFile(path.toFile(), "rw"));
  }

  /**
   * Appends one record. If that fails (a full disk), the file is truncated to its previous end, so
   * that it stays valid and later records may succeed.
   */
  void append(byte[] data) throws IOException {
    byte[] record = framed(data);
    try {
      file.seek(end);
      file.write(record);
    } catch (IOException e) {
      truncateAfter(e);
      throw e;
    }
    end += record.length;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  private void truncateAfter(IOException failure) {
    try {
      file.setLength(end);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private static byte[] framed(byte[] data) {
    ByteBuffer record =
        ByteBuffer.allocate(HEADER_BYTES + data.length + FOOTER_BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(maskedCrc(record.array(), 0, Long.BYTES));
    record.put(data);
    record.putInt(maskedCrc(record.array(), HEADER_BYTES, data.length));
    return record.array();
  }

  /** The CRC is masked because a CRC over data that contains CRCs is weak. */
  private static int maskedCrc(byte[] bytes, int offset, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, offset, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
  }
}
