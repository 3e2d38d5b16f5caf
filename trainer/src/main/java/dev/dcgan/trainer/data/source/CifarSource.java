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
 * CIFAR-10's binary version: files of records, each a label byte and 32 x 32 pixels as a red, a
 * green and a blue plane (Krizhevsky 2009).
 */
public final class CifarSource implements ImageSource {

  /** The dataset's name. */
  public static final String NAME = "cifar10";

  private static final Pattern TRAINING_BATCH = Pattern.compile("data_batch_\\d+\\.bin");
  private static final String TEST_BATCH = "test_batch.bin";
  private static final int SIDE = 32;
  private static final int AREA = SIDE * SIDE;
  private static final int CHANNELS = 3;
  private static final int RECORD_BYTES = 1 + AREA * CHANNELS;
  private static final List<String> CLASSES =
      List.of(
          "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck");
  private static final int BUFFER_BYTES = 1 << 16;

  private final int size;
  private final Iterator<Path> files;

  // Mutable state
  private Path file;
  private InputStream in;
  private long remaining; // unread records of the current file
  private int read; // records read from it

  private CifarSource(List<Path> batches) throws IOException {
    int records = 0;
    for (Path batch : batches) {
      records = Math.addExact(records, records(batch));
    }
    size = records;
    files = batches.iterator();
    file = files.next();
    in = open(file);
    remaining = records(file);
  }

  /** The training batches in a folder; empty if there are none. */
  public static List<Path> trainingBatches(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return new ArrayList<>(files.filter(CifarSource::isTrainingBatch).sorted().toList());
    }
  }

  /** Whether a file has the name of a training batch. */
  public static boolean isTrainingBatch(Path file) {
    return TRAINING_BATCH.matcher(file.getFileName().toString()).matches();
  }

  /** The test batch in a folder, if there is one. */
  public static Optional<Path> testBatch(Path folder) {
    return Optional.of(folder.resolve(TEST_BATCH)).filter(Files::isRegularFile);
  }

  /**
   * Opens one or more batches.
   *
   * @throws IOException if a file's length is not a multiple of the record's
   */
  public static CifarSource open(List<Path> batches) throws IOException {
    return new CifarSource(batches);
  }

  private static int records(Path file) throws IOException {
    long bytes = Files.size(file);
    if (bytes == 0 || bytes % RECORD_BYTES != 0 || bytes / RECORD_BYTES > Integer.MAX_VALUE) {
      throw new IOException(
          "cannot read %s: it has %d bytes; expected records of %d bytes as in CIFAR-10's binary version: copy it again"
              .formatted(file, bytes, RECORD_BYTES));
    }
    return (int) (bytes / RECORD_BYTES);
  }

  private static InputStream open(Path file) throws IOException {
    return new BufferedInputStream(Files.newInputStream(file), BUFFER_BYTES);
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public int classes() {
    return CLASSES.size();
  }

  @Override
  public String className(int label) {
    return CLASSES.get(label);
  }

  @Override
  public Encoded next() throws IOException {
    if (remaining == 0) {
      in.close();
      file = files.next();
      in = open(file);
      remaining = records(file);
      read = 0;
    }
    byte[] bytes = in.readNBytes(RECORD_BYTES);
    if (bytes.length < RECORD_BYTES) {
      throw new IOException("cannot read " + file + ": it was truncated while it was read");
    }
    int label = bytes[0] & 0xFF;
    if (label >= CLASSES.size()) {
      throw new IOException(
          "cannot read %s: label %d in record %d; expected 0 to %d as in CIFAR-10's binary version"
              .formatted(file, label, read, CLASSES.size() - 1));
    }
    remaining--;
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
