package dev.dcgan.trainer.run;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A run's events in a file, one line of JSON each, numbered from 0.
 *
 * <p>Thread-safe. Once {@link #append} has returned, the event survives the end of this process and
 * every {@link #read} sees it; once {@link #sync} has returned, it survives a power failure too.
 * Events may be read while others are appended, and after {@link #close}: the content of the file
 * never changes. Only one process at a time opens the file.
 */
final class EventLog implements Closeable {

  /** Reading starts at a line whose position is known: one in so many. */
  static final int LINES_PER_MARK = 256;

  /** A longer line is no event. */
  static final int MAX_LINE_BYTES = 64 << 10;

  // Many times what a run of the most epochs writes. What follows is neither read nor changed.
  private static final long MAX_BYTES = 256L << 20;

  private final Path file;

  // Mutable state. Not a channel, which an interrupt would close for good.
  @GuardedBy("this") private final RandomAccessFile out;

  /** The positions of the lines {@code i * LINES_PER_MARK}, bytes. */
  @GuardedBy("this") private final List<Long> marks = new ArrayList<>();

  @GuardedBy("this") private long lines;

  /** The end of the last whole line, bytes. */
  @GuardedBy("this") private long end;

  @GuardedBy("this") private boolean full;

  private EventLog(Path file, RandomAccessFile out) {
    this.file = file;
    this.out = out;
  }

  /**
   * Opens or creates the file; a last line that a crash has truncated is removed.
   *
   * @throws IOException the file cannot be read or written
   */
  static EventLog open(Path file) throws IOException {
    return open(file, new RandomAccessFile(file.toFile(), "rw"));
  }

  /** As {@link #open(Path)}; appends through {@code out}, which the log owns. */
  static EventLog open(Path file, RandomAccessFile out) throws IOException {
    EventLog log = new EventLog(file, out);
    try {
      log.recover();
      return log;
    } catch (IOException e) {
      log.closeAfter(e);
      throw e;
    }
  }

  /**
   * Appends an event.
   *
   * @param json without line breaks
   * @return the event's number
   * @throws IOException the event was not appended; the log is unchanged
   */
  synchronized long append(String json) throws IOException {
    if (json.indexOf('\n') >= 0 || json.indexOf('\r') >= 0) {
      throw new IllegalArgumentException(
          "cannot append an event: it has a line break; expected one line of JSON");
    }
    byte[] line = (json + '\n').getBytes(StandardCharsets.UTF_8);
    try {
      out.seek(end);
      out.write(line);
    } catch (IOException e) {
      cutAfter(e);
      throw e;
    }
    addLine(end + line.length);
    return lines - 1;
  }

  /** Whether there is room for an event: it is not too long, and neither is the log. */
  synchronized boolean accepts(String json) {
    int bytes = json.getBytes(StandardCharsets.UTF_8).length;
    return bytes <= MAX_LINE_BYTES && !full && end + bytes < MAX_BYTES;
  }

  /**
   * Reads events.
   *
   * @param from number of the first
   * @param max how many at most, 1 or more
   * @return the events from there, empty for a line that is too long; fewer than {@code max} at the
   *     end of the log
   */
  List<String> read(long from, int max) throws IOException {
    if (from < 0 || max < 1) {
      throw new IllegalArgumentException(
          "cannot read %d events from number %d; expected 1 or more, from 0 or more"
              .formatted(max, from));
    }
    long start;
    long count;
    synchronized (this) {
      if (from >= lines) {
        return List.of();
      }
      start = marks.get((int) (from / LINES_PER_MARK));
      count = Math.min(max, lines - from);
    }
    return read(start, from % LINES_PER_MARK, count);
  }

  /** The number of events. */
  synchronized long size() {
    return lines;
  }

  /** Forces the events to the disk. */
  synchronized void sync() throws IOException {
    out.getFD().sync();
  }

  /** Ends appending; idempotent. */
  @Override
  public synchronized void close() throws IOException {
    out.close();
  }

  /** Reads without the lock: lines in the file never change. */
  private List<String> read(long start, long skipped, long count) throws IOException {
    try (FileInputStream stream = new FileInputStream(file.toFile())) {
      stream.skipNBytes(start);
      Lines in = new Lines(stream);
      for (long i = 0; i < skipped; i++) {
        in.next();
      }
      List<String> events = new ArrayList<>();
      for (long i = 0; i < count; i++) {
        events.add(in.next());
      }
      return events;
    } catch (EOFException e) {
      throw new IOException(file + " is damaged: it has fewer lines than were written", e);
    }
  }

  /** Reads lines, and skips those that are too long at the speed of the disk. */
  private static final class Lines {

    private final InputStream in;
    private final byte[] buffer = new byte[1 << 16];

    // Mutable state
    private int position;
    private int limit;

    Lines(InputStream in) {
      this.in = in;
    }

    /** The next line without its break; empty if it is too long. */
    String next() throws IOException {
      ByteArrayOutputStream line = new ByteArrayOutputStream();
      boolean tooLong = false;
      while (true) {
        int end = position;
        while (end < limit && buffer[end] != '\n') {
          end++;
        }
        tooLong |= line.size() + (end - position) > MAX_LINE_BYTES;
        if (!tooLong) {
          line.write(buffer, position, end - position);
        }
        position = end + 1; // After the line break, if there is one.
        if (end < limit) {
          return tooLong ? "" : line.toString(StandardCharsets.UTF_8);
        }
        limit = in.read(buffer);
        position = 0;
        if (limit < 0) {
          throw new EOFException();
        }
      }
    }
  }

  /** Finds the lines, and cuts off what follows the last line break. */
  private synchronized void recover() throws IOException {
    byte[] chunk = new byte[1 << 16];
    long position = 0;
    int n;
    while (position < MAX_BYTES && (n = out.read(chunk)) > 0) {
      for (int i = 0; i < n; i++) {
        if (chunk[i] == '\n') {
          addLine(position + i + 1);
        }
      }
      position += n;
    }
    full = position >= MAX_BYTES;
    if (!full) {
      out.setLength(end);
    }
  }

  @GuardedBy("this") private void addLine(long newEnd) {
    if (lines % LINES_PER_MARK == 0) {
      marks.add(end);
    }
    lines++;
    end = newEnd;
  }

  @GuardedBy("this") private void cutAfter(IOException failure) {
    try {
      out.setLength(end);
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  private void closeAfter(IOException failure) {
    try {
      close();
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }
}
