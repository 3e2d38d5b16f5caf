package dev.dcgan.trainer.data;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.server.ErrorMessages;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * A temporary file of decoded images, all of one size.
 *
 * <p>One thread adds images; after {@link #seal} any number of threads may read. Reads use mapped
 * memory because interrupting a thread that reads a channel would close the channel. The file is
 * deleted when this object is closed or the process ends, even if it is killed (on POSIX the file
 * is unlinked from the start).
 */
final class ScratchFile implements Closeable {

  private static final int SEGMENT_BYTES = 1 << 30; // a ByteBuffer is indexed by int

  private final FileChannel channel;
  private final int imageBytes;
  private final int imagesPerSegment;
  private final List<MappedByteBuffer> segments = new ArrayList<>();

  private ScratchFile(FileChannel channel, int imageBytes, int imagesPerSegment) {
    this.channel = channel;
    this.imageBytes = imageBytes;
    this.imagesPerSegment = imagesPerSegment;
  }

  /**
   * The folder for a scratch file: the preferred one, or the system's temporary folder if the
   * preferred one has no room.
   *
   * @throws IOException neither has room; the message has both
   */
  static Path folder(Path preferred, long bytes) throws IOException {
    List<String> problems = new ArrayList<>();
    for (Path folder : List.of(preferred, Path.of(System.getProperty("java.io.tmpdir", "/tmp")))) {
      String problem = problem(folder, bytes);
      if (problem.isEmpty()) {
        return folder;
      }
      problems.add(problem);
    }
    throw new IOException(
        "cannot store decoded images: %s; expected space for %d bytes: choose another --runs or set JAVA_OPTS=-Djava.io.tmpdir=<folder>"
            .formatted(String.join("; ", problems), bytes));
  }

  private static String problem(Path folder, long bytes) {
    try {
      AtomicFiles.createFolder(folder);
      if (!Files.isWritable(folder)) {
        return folder + " is not writable";
      }
      long free = Files.getFileStore(folder).getUsableSpace();
      return free < bytes ? "%s has space for %d bytes".formatted(folder, free) : "";
    } catch (IOException e) {
      return "%s cannot be used: %s".formatted(folder, ErrorMessages.oneLine(e));
    }
  }

  /** Creates an empty file in a folder. */
  static ScratchFile create(Path folder, int imageBytes) throws IOException {
    return create(folder, imageBytes, SEGMENT_BYTES / imageBytes);
  }

  /** As above, with a given number of images in each mapped segment. */
  static ScratchFile create(Path folder, int imageBytes, int imagesPerSegment) throws IOException {
    Path file = folder.resolve("dcgan-images-" + UUID.randomUUID());
    return new ScratchFile(
        FileChannel.open(
            file,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE),
        imageBytes,
        imagesPerSegment);
  }

  /** Appends an image. */
  void add(byte[] pixels) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(pixels);
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /** Makes the images readable; none may be added afterwards. */
  void seal() throws IOException {
    long size = channel.size();
    long segment = (long) imagesPerSegment * imageBytes;
    for (long at = 0; at < size; at += segment) {
      segments.add(channel.map(FileChannel.MapMode.READ_ONLY, at, Math.min(segment, size - at)));
    }
  }

  /** Copies image {@code index} to {@code target[offset ..]}. */
  void copy(int index, byte[] target, int offset) {
    segments
        .get(index / imagesPerSegment)
        .get(index % imagesPerSegment * imageBytes, target, offset, imageBytes);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
