package dev.dcgan.trainer.data.source;

import dev.dcgan.trainer.data.image.Bitmap;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * CIFAR-10 in its binary version: batch files of records, each a label and 32 x 32 pixels, red,
 * green and blue one after the other (Krizhevsky 2009).
 */
public final class CifarSource implements ImageSource {

  public static final String NAME = "cifar10";

  private static final Pattern TRAINING = Pattern.compile("data_batch_\\d+\\.bin");
  private static final String TEST = "test_batch.bin";
  private static final int SIDE = 32;
  private static final int AREA = SIDE * SIDE;
  private static final int CHANNELS = 3;
  private static final int RECORD = 1 + AREA * CHANNELS;
  private static final int CLASSES = 10;
  private static final int BUFFER = 1 << 16;

  private final int size;
  private final Iterator<Path> files;

  // Mutable state
  private Path file;
  private InputStream in;
  private long left; // records in this file
  private int read; // records from it

  private CifarSource(List<Path> batches) throws IOException {
    int records = 0;
    for (Path batch : batches) {
      records = Math.addExact(records, records(batch));
    }
    size = records;
    files = batches.iterator();
    file = files.next();
    in = open(file);
    left = records(file);
  }

  /** The training batches of a folder; none where it has none. */
  public static List<Path> trainingBatches(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return new ArrayList<>(
          files
              .filter(f -> TRAINING.matcher(f.getFileName().toString()).matches())
              .sorted()
              .toList());
    }
  }

  /** The test batch of a folder, where it is there. */
  public static Optional<Path> testBatch(Path folder) {
    return Optional.of(folder.resolve(TEST)).filter(Files::isRegularFile);
  }

  /**
   * Opens batches, one or more.
   *
   * @throws IOException one is no whole number of records long
   */
  public static CifarSource open(List<Path> batches) throws IOException {
    return new CifarSource(batches);
  }

  private static int records(Path file) throws IOException {
    long bytes = Files.size(file);
    if (bytes == 0 || bytes % RECORD != 0 || bytes / RECORD > Integer.MAX_VALUE) {
      throw new IOException(
          "%s has %d bytes; expected CIFAR-10's records of %d: is it whole, and the binary version?"
              .formatted(file, bytes, RECORD));
    }
    return (int) (bytes / RECORD);
  }

  private static InputStream open(Path file) throws IOException {
    return new BufferedInputStream(Files.newInputStream(file), BUFFER);
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public int classes() {
    return CLASSES;
  }

  @Override
  public Encoded next() throws IOException {
    if (left == 0) {
      in.close();
      file = files.next();
      in = open(file);
      left = records(file);
      read = 0;
    }
    byte[] bytes = in.readNBytes(RECORD);
    if (bytes.length < RECORD) {
      throw new IOException(file + " became shorter while it was read");
    }
    int label = bytes[0] & 0xFF;
    if (label >= CLASSES) {
      throw new IOException(
          "%s has the label %d in record %d; expected 0 to %d: is it CIFAR-10's binary version?"
              .formatted(file, label, read, CLASSES - 1));
    }
    left--;
    return new RawImage(
        file + ", record " + read++, label, new Bitmap(SIDE, SIDE, CHANNELS, interleaved(bytes)));
  }

  private static byte[] interleaved(byte[] bytes) {
    byte[] pixels = new byte[AREA * CHANNELS];
    for (int i = 0; i < AREA; i++) {
      for (int channel = 0; channel < CHANNELS; channel++) {
        pixels[i * CHANNELS + channel] = bytes[1 + channel * AREA + i];
      }
    }
    return pixels;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
