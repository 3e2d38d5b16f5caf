package dev.dcgan.sampler.export;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.attribute.FileTime;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;

/**
 * A shard as WebDataset reads it: a tar file (POSIX ustar) in which what belongs to one sample lies
 * together, by the name up to the first dot, and the rest of the name says what it is.
 *
 * <p>A sample is {@code <index>.png}, the index of twenty digits, as many as a uint64 may have, so
 * that names sort as the images do. The same images give the same bytes: times are 0, as are user
 * and group.
 */
final class TarShard {

  private static final int BUFFER_BYTES = 1 << 20;
  private static final int MODE = 0644;
  private static final FileTime THE_EPOCH = FileTime.fromMillis(0);

  private final OutputStream buffer;
  private final TarArchiveOutputStream tar;

  TarShard(OutputStream to) {
    this.buffer = new BufferedOutputStream(to, BUFFER_BYTES);
    this.tar = new TarArchiveOutputStream(buffer, StandardCharsets.US_ASCII.name());
  }

  void add(long index, byte[] png) throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name(index));
    entry.setSize(png.length);
    entry.setMode(MODE);
    entry.setLastModifiedTime(THE_EPOCH);
    entry.setIds(0, 0);
    entry.setNames("", ""); // The library's own are those of whoever runs this.
    tar.putArchiveEntry(entry);
    tar.write(png);
    tar.closeArchiveEntry();
  }

  /** Ends the shard, which is whole then; nothing is closed. */
  void finish() throws IOException {
    tar.finish();
    buffer.flush(); // The library does not pass that on.
  }

  static String name(long index) {
    String digits = Long.toUnsignedString(index);
    return "0".repeat(20 - digits.length()) + digits + ".png";
  }
}
