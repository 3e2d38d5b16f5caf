package dev.dcgan.sampler.export;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.attribute.FileTime;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;

/**
 * A shard in the WebDataset format: a tar file (POSIX ustar) in which the files of a sample are
 * adjacent and share the name up to the first dot; the rest of the name is the type.
 *
 * <p>A sample is {@code <index>.png} and, if the model has classes, {@code <index>.cls}: the label
 * as a decimal number. The index has twenty digits, the most of a uint64, so that names sort in the
 * order of the images. The same images give the same bytes: times, user and group
 * are 0.
 */
final class TarShard {

  private static final int BUFFER_BYTES = 1 << 20;
  private static final int MODE = 0644;
  private static final FileTime EPOCH = FileTime.fromMillis(0);

  private final OutputStream buffer;
  private final TarArchiveOutputStream tar;

  TarShard(OutputStream to) {
    this.buffer = new BufferedOutputStream(to, BUFFER_BYTES);
    this.tar = new TarArchiveOutputStream(buffer, StandardCharsets.US_ASCII.name());
  }

  void addImage(long index, byte[] png) throws IOException {
    add(name(index, "png"), png);
  }

  /** Comes after the image with the same index. */
  void addLabel(long index, int label) throws IOException {
    add(name(index, "cls"), Integer.toString(label).getBytes(StandardCharsets.US_ASCII));
  }

  private void add(String name, byte[] content) throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(content.length);
    entry.setMode(MODE);
    entry.setLastModifiedTime(EPOCH);
    entry.setIds(0, 0);
    entry.setNames("", ""); // By default they are those of the current user.
    tar.putArchiveEntry(entry);
    tar.write(content);
    tar.closeArchiveEntry();
  }

  /** Ends the shard, which is then whole; does not close the stream. */
  void finish() throws IOException {
    tar.finish();
    buffer.flush(); // TarArchiveOutputStream.finish does not flush.
  }

  private static String name(long index, String type) {
    String digits = Long.toUnsignedString(index);
    return "0".repeat(20 - digits.length()) + digits + "." + type;
  }
}
