package dev.dcgan.trainer.data;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * Pictures of one size on disk, for as long as they are needed.
 *
 * <p>One thread adds them; after {@link #seal} any number of threads may read. Reading goes through
 * mapped memory: interrupting a reader does not close the file, as it would a channel. The file is
 * gone when this is closed or the process ends, in whichever way (on POSIX it has no name from the
 * start).
 */
final class ScratchFile implements Closeable {

  private static final int SEGMENT_BYTES = 1 << 30; // a buffer's indices are ints

  private final FileChannel channel;
  private final int pictureBytes;
  private final int picturesPerSegment;
  private final List<MappedByteBuffer> segments = new ArrayList<>();

  private ScratchFile(FileChannel channel, int pictureBytes, int picturesPerSegment) {
    this.channel = channel;
    this.pictureBytes = pictureBytes;
    this.picturesPerSegment = picturesPerSegment;
  }

  /** Makes an empty file in a folder. */
  static ScratchFile create(Path folder, int pictureBytes) throws IOException {
    return create(folder, pictureBytes, SEGMENT_BYTES / pictureBytes);
  }

  /** The same with a given number of pictures in each piece of mapped memory. */
  static ScratchFile create(Path folder, int pictureBytes, int picturesPerSegment)
      throws IOException {
    Path file = folder.resolve("dcgan-pictures-" + UUID.randomUUID());
    return new ScratchFile(
        FileChannel.open(
            file,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE),
        pictureBytes,
        picturesPerSegment);
  }

  /** Appends a picture. */
  void add(byte[] pixels) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(pixels);
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /** Ends the adding. */
  void seal() throws IOException {
    long size = channel.size();
    long segment = (long) picturesPerSegment * pictureBytes;
    for (long at = 0; at < size; at += segment) {
      segments.add(channel.map(FileChannel.MapMode.READ_ONLY, at, Math.min(segment, size - at)));
    }
  }

  /** Copies picture {@code index} to {@code target[offset ..]}. */
  void copy(int index, byte[] target, int offset) {
    segments
        .get(index / picturesPerSegment)
        .get(index % picturesPerSegment * pictureBytes, target, offset, pictureBytes);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
