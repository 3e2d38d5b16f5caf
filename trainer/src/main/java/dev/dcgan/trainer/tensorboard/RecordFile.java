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
 * A new file of TFRecords, written one whole record at a time; used by one thread.
 *
 * <p>A record is, little-endian: the data's length (uint64), the length's masked CRC-32C (uint32),
 * the data, the data's masked CRC-32C (uint32); see TensorFlow's {@code record_writer.h}. There is
 * no buffer here, so that a reader sees each record at once and a crash costs none.
 */
final class RecordFile implements Closeable {

  private static final int HEADER = Long.BYTES + Integer.BYTES;
  private static final int FOOTER = Integer.BYTES;
  private static final int MASK_DELTA = 0xA282EAD8;

  // Not a channel: an interrupt would close that for good.
  private final RandomAccessFile file;

  // Mutable state
  private long end;

  /** Appends to an empty file, which it owns. */
  RecordFile(RandomAccessFile file) {
    this.file = file;
  }

  /**
   * Makes the file.
   *
   * @throws java.nio.file.FileAlreadyExistsException there is one
   */
  static RecordFile create(Path path) throws IOException {
    Files.createFile(path);
    return new RecordFile(new RandomAccessFile(path.toFile(), "rw"));
  }

  /**
   * Appends one record, or, when it cannot (a full disk), leaves the file as it was: still whole,
   * and the next record may fit.
   */
  void append(byte[] data) throws IOException {
    byte[] record = framed(data);
    try {
      file.seek(end);
      file.write(record);
    } catch (IOException e) {
      cutAfter(e);
      throw e;
    }
    end += record.length;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  private void cutAfter(IOException failure) {
    try {
      file.setLength(end);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private static byte[] framed(byte[] data) {
    ByteBuffer record =
        ByteBuffer.allocate(HEADER + data.length + FOOTER).order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(maskedCrc(record.array(), 0, Long.BYTES));
    record.put(data);
    record.putInt(maskedCrc(record.array(), HEADER, data.length));
    return record.array();
  }

  /** Masked, because a CRC over data that holds CRCs of its own is weak. */
  private static int maskedCrc(byte[] bytes, int offset, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, offset, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
  }
}
