package dev.dcgan.trainer.tensorboard;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Writes scalars and images of a run to a TensorBoard event file; used by one thread.
 *
 * <p>Each event is in the file when its call returns. After an {@link IOException} (a full disk)
 * only that event is lost: the file stays readable and later events may succeed, so training can
 * continue.
 *
 * <p>The file is a sequence of TFRecords of {@code tensorflow.Event}; the field numbers are those
 * of TensorFlow's {@code core/util/event.proto} and {@code core/framework/summary.proto}.
 */
public final class TensorBoardFile implements AutoCloseable {

  private static final String FORMAT = "brain.Event:2";

  // Other writers put the host's name where this has "trainer"; it would disclose the host.
  private static final String NAME = "events.out.tfevents.%010d.trainer.v2";
  private static final Pattern ANY_NAME =
      Pattern.compile("events\\.out\\.tfevents\\.(\\d{10})\\..*");

  // Event
  private static final int WALL_TIME = 1;
  private static final int STEP = 2;
  private static final int FILE_VERSION = 3;
  private static final int SUMMARY = 5;
  private static final int SESSION_LOG = 7;
  // SessionLog
  private static final int STATUS = 1;
  private static final int STATUS_START = 1;
  // Summary and Summary.Value
  private static final int VALUE = 1;
  private static final int TAG = 1;
  private static final int SIMPLE_VALUE = 2;
  private static final int IMAGE = 4;
  private static final int METADATA = 9;
  // SummaryMetadata
  private static final int DESCRIPTION = 3;
  // Summary.Image
  private static final int HEIGHT = 1;
  private static final int WIDTH = 2;
  private static final int COLORSPACE = 3;
  private static final int COLORSPACE_RGB = 3;
  private static final int ENCODED_IMAGE = 4;

  private final RecordFile records;
  private final Clock clock;

  private TensorBoardFile(RecordFile records, Clock clock) {
    this.records = records;
    this.clock = clock;
  }

  /**
   * Creates a file in the run's folder, and the folder if needed; earlier files are kept.
   *
   * @param step the step that the run starts from: 0, or that of the checkpoint it resumes from;
   *     TensorBoard drops later steps of earlier files
   */
  public static TensorBoardFile open(Path folder, long step, Clock clock) throws IOException {
    Files.createDirectories(folder);
    RecordFile records = RecordFile.create(folder.resolve(NAME.formatted(seconds(folder, clock))));
    try {
      TensorBoardFile file = new TensorBoardFile(records, clock);
      file.append(0, event -> event.writeString(FILE_VERSION, FORMAT));
      // TensorBoard treats a START as a restart only if it has seen one before, so that a run's
      // first file needs one too. It drops the events at START's step and later.
      byte[] start = message(log -> log.writeEnum(STATUS, STATUS_START));
      file.append(step + 1, event -> event.writeByteArray(SESSION_LOG, start));
      return file;
    } catch (IOException e) {
      closeAfter(e, records);
      throw e;
    }
  }

  /**
   * Appends a point of a curve.
   *
   * @param tag the curve's name; TensorBoard groups curves by the part before a slash
   * @param value rounded to float32
   */
  public void scalar(String tag, long step, double value) throws IOException {
    scalar(tag, step, value, "");
  }

  /**
   * Appends a point of a curve with a description.
   *
   * @param description Markdown that TensorBoard shows beside the curve; empty: none
   */
  public void scalar(String tag, long step, double value, String description) throws IOException {
    byte[] metadata = message(out -> out.writeString(DESCRIPTION, description));
    appendValue(
        tag,
        step,
        out -> {
          out.writeFloat(SIMPLE_VALUE, (float) value);
          if (!description.isEmpty()) {
            out.writeByteArray(METADATA, metadata);
          }
        });
  }

  /**
   * Appends an image.
   *
   * @param tag the name of the image series
   * @param png the bytes of a PNG file
   * @param width pixels
   * @param height pixels
   */
  public void image(String tag, long step, byte[] png, int width, int height) throws IOException {
    byte[] image =
        message(
            out -> {
              out.writeInt32(HEIGHT, height);
              out.writeInt32(WIDTH, width);
              out.writeInt32(COLORSPACE, COLORSPACE_RGB);
              out.writeByteArray(ENCODED_IMAGE, png);
            });
    appendValue(tag, step, out -> out.writeByteArray(IMAGE, image));
  }

  @Override
  public void close() throws IOException {
    records.close();
  }

  private void appendValue(String tag, long step, Fields fields) throws IOException {
    byte[] value =
        message(
            out -> {
              out.writeString(TAG, tag);
              fields.write(out);
            });
    byte[] summary = message(out -> out.writeByteArray(VALUE, value));
    append(step, event -> event.writeByteArray(SUMMARY, summary));
  }

  private void append(long step, Fields fields) throws IOException {
    Instant now = clock.instant();
    records.append(
        message(
            event -> {
              event.writeDouble(WALL_TIME, now.getEpochSecond() + now.getNano() / 1e9);
              event.writeInt64(STEP, step);
              fields.write(event);
            }));
  }

  /** Writes the fields of a message. */
  private interface Fields {

    void write(CodedOutputStream out) throws IOException;
  }

  private static byte[] message(Fields fields) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    fields.write(out);
    out.flush();
    return bytes.toByteArray();
  }

  /**
   * The time in a new file's name. TensorBoard reads a run's files in the order of their names, so
   * it is later than that of every other file, even within a second or after the clock was set
   * back.
   */
  private static long seconds(Path folder, Clock clock) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      long newest =
          entries
              .map(entry -> ANY_NAME.matcher(entry.getFileName().toString()))
              .filter(Matcher::matches)
              .mapToLong(name -> Long.parseLong(name.group(1)))
              .max()
              .orElse(-1);
      return Math.max(clock.instant().getEpochSecond(), newest + 1);
    }
  }

  private static void closeAfter(IOException failure, RecordFile records) {
    try {
      records.close();
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }
}
