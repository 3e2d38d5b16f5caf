package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventLogTest {

  @TempDir private Path folder;

  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("events.jsonl");
  }

  @Test
  void append_numbersFrom0_andIsInTheFileAtOnce() throws IOException {
    try (EventLog log = EventLog.open(file)) {
      assertThat(log.size()).isZero();
      assertThat(log.append("{\"a\":\"größe\"}")).isZero();
      assertThat(log.append("{}")).isEqualTo(1);

      assertThat(file).hasContent("{\"a\":\"größe\"}\n{}\n");
      assertThat(log.size()).isEqualTo(2);
      assertThat(log.read(0, 10)).containsExactly("{\"a\":\"größe\"}", "{}");
    }
  }

  @Test
  void read_fromAnywhere_givesThoseEvents_aroundTheMarksToo() throws IOException {
    int size = 2 * EventLog.LINES_PER_MARK + 3;
    try (EventLog log = EventLog.open(file)) {
      appendTo(log, size);

      for (int from = 0; from <= size + 1; from++) {
        assertThat(log.read(from, 4)).isEqualTo(events(from, Math.min(from + 4, size)));
      }
      assertThat(log.read(0, Integer.MAX_VALUE)).isEqualTo(events(0, size));
    }
  }

  @Test
  void read_ofALineThatIsTooLong_givesAnEmptyOne_andTheRest() throws IOException {
    Files.writeString(file, "{\"a\":1}\n" + "x".repeat(50 << 20) + "\n{\"b\":2}\n");

    try (EventLog log = EventLog.open(file)) {
      assertThat(log.read(0, 10)).containsExactly("{\"a\":1}", "", "{\"b\":2}");
      assertThat(log.accepts("x".repeat(EventLog.MAX_LINE_BYTES))).isTrue();
      assertThat(log.accepts("x".repeat(EventLog.MAX_LINE_BYTES + 1))).isFalse();
      assertThat(log.append("{}")).isEqualTo(3);
    }
  }

  @Test
  void open_ofALogThatIsTooLong_readsItsBeginning_andKeepsIt() throws IOException {
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.write("{\"a\":1}\n".getBytes(StandardCharsets.UTF_8));
      sparse.setLength(1L << 30);
    }

    try (EventLog log = EventLog.open(file)) {
      assertThat(log.read(0, 10)).containsExactly("{\"a\":1}");
      assertThat(log.accepts("{}")).isFalse();
    }
    assertThat(file).hasSize(1L << 30);
  }

  @Test
  void open_ofAnEarlierLog_goesOnWhereItEnded() throws IOException {
    int size = EventLog.LINES_PER_MARK; // So that the next line is one to mark.
    try (EventLog log = EventLog.open(file)) {
      appendTo(log, size);
    }

    try (EventLog log = EventLog.open(file)) {
      assertThat(log.size()).isEqualTo(size);
      assertThat(log.append(event(size))).isEqualTo(size);
      assertThat(log.read(size - 1L, 10)).isEqualTo(events(size - 1, size + 1));
    }
  }

  @Test
  void open_ofALogCutShortAnywhere_keepsTheWholeLines() throws IOException {
    byte[] whole = "{\"é\":1}\n{\"b\":2}\n".getBytes(StandardCharsets.UTF_8);
    int first = "{\"é\":1}\n".getBytes(StandardCharsets.UTF_8).length;
    for (int length = 0; length <= whole.length; length++) {
      Files.write(file, Arrays.copyOf(whole, length));
      int lines = length < first ? 0 : length < whole.length ? 1 : 2;

      try (EventLog log = EventLog.open(file)) {
        assertThat(log.size()).isEqualTo(lines);
        assertThat(log.append("{}")).isEqualTo(lines);
        assertThat(log.read(lines, 10)).containsExactly("{}");
      }
      assertThat(Files.readString(file))
          .isEqualTo(List.of("{}\n", "{\"é\":1}\n{}\n", "{\"é\":1}\n{\"b\":2}\n{}\n").get(lines));
    }
  }

  @Test
  void open_ofALogLongerThanAChunk_findsEveryLine() throws IOException {
    String long1 = "1".repeat(200_000);
    String long2 = "2".repeat(65_535); // With its line break a whole chunk.
    Files.writeString(file, long1 + "\n" + long2 + "\n" + "3".repeat(70_000));

    try (EventLog log = EventLog.open(file)) {
      assertThat(log.read(0, 10)).containsExactly("", long2); // The first is too long.
      assertThat(Files.size(file)).isEqualTo(200_001 + 65_536);
    }
  }

  @Test
  void append_whatIsNotALine_refuses_andAppendsNothing() throws IOException {
    try (EventLog log = EventLog.open(file)) {
      for (String text : List.of("{\n}", "{}\n", "{}\r")) {
        assertThatIllegalArgumentException().isThrownBy(() -> log.append(text));
      }

      assertThat(log.size()).isZero();
      assertThat(file).isEmptyFile();
    }
  }

  @Test
  void append_whenTheDiskFills_leavesTheLogUnchanged() throws IOException {
    Disk disk = new Disk(file);
    try (EventLog log = EventLog.open(file, disk)) {
      log.append("{}");
      disk.room = 5;
      assertThatIOException()
          .isThrownBy(() -> log.append("{\"a\":1}"))
          .withMessage("No space left on device");

      assertThat(Files.readString(file)).isEqualTo("{}\n");
      assertThat(log.read(0, 10)).containsExactly("{}");
      disk.room = Integer.MAX_VALUE;
      assertThat(log.append("{\"b\":2}")).isEqualTo(1);
    }
    assertThat(Files.readString(file)).isEqualTo("{}\n{\"b\":2}\n");
  }

  @Test
  void append_afterClose_fails_butWhatWasAppendedCanStillBeRead() throws IOException {
    EventLog log = EventLog.open(file);
    log.append("{}");
    log.sync();
    log.close();
    log.close();

    assertThatIOException().isThrownBy(() -> log.append("{}"));
    assertThat(log.size()).isEqualTo(1);
    assertThat(log.read(0, 10)).containsExactly("{}");
  }

  @Test
  void appendAndRead_onInterruptedThreads_work() throws IOException {
    try (EventLog log = EventLog.open(file)) {
      Thread.currentThread().interrupt();
      log.append("{}");
      assertThat(log.read(0, 1)).containsExactly("{}");
      log.append("{}");
      assertThat(log.size()).isEqualTo(2);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void read_ofAFileThatSomethingElseCutShort_saysSo() throws IOException {
    try (EventLog log = EventLog.open(file)) {
      log.append("{}");
      Files.write(file, new byte[0], StandardOpenOption.TRUNCATE_EXISTING);

      assertThatIOException()
          .isThrownBy(() -> log.read(0, 1))
          .withMessageStartingWith(file + " is damaged");
    }
  }

  @Test
  void read_outOfRange_refuses() throws IOException {
    try (EventLog log = EventLog.open(file)) {
      assertThatIllegalArgumentException().isThrownBy(() -> log.read(-1, 1));
      assertThatIllegalArgumentException().isThrownBy(() -> log.read(0, 0));
    }
  }

  @Test
  void open_whereItCannot_namesTheFile() {
    assertThatIOException()
        .isThrownBy(() -> EventLog.open(folder.resolve("missing/events.jsonl")))
        .withMessageContaining("events.jsonl");
  }

  @Test
  void followers_whileOthersAppend_seeEveryEventOnce_inOneOrder() throws Exception {
    int size = 5_000;
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try (EventLog log = EventLog.open(file)) {
      List<Future<List<String>>> followers = new ArrayList<>();
      for (int chunk : new int[] {1, 7}) {
        followers.add(threads.submit(() -> follow(log, chunk, 2 * size)));
      }
      List<Future<?>> writers = new ArrayList<>();
      for (String writer : List.of("a", "b")) {
        writers.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < size; i++) {
                    log.append(writer + event(i));
                  }
                  return null;
                }));
      }
      for (Future<?> writer : writers) {
        writer.get();
      }

      List<String> inFile = Files.readAllLines(file);
      for (Future<List<String>> follower : followers) {
        assertThat(follower.get()).isEqualTo(inFile);
      }
      for (String writer : List.of("a", "b")) {
        assertThat(inFile.stream().filter(line -> line.startsWith(writer)))
            .containsExactlyElementsOf(
                events(0, size).stream().map(event -> writer + event).toList());
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static List<String> follow(EventLog log, int chunk, int until) throws IOException {
    List<String> seen = new ArrayList<>();
    while (seen.size() < until) {
      seen.addAll(log.read(seen.size(), chunk));
    }
    return seen;
  }

  private static void appendTo(EventLog log, int count) throws IOException {
    for (int i = 0; i < count; i++) {
      log.append(event(i));
    }
  }

  private static List<String> events(long from, long to) {
    return LongStream.range(from, to).mapToObj(EventLogTest::event).toList();
  }

  private static String event(long i) {
    return "{\"step\":%d,\"größe\":\"%s\"}".formatted(i, "x".repeat((int) (i % 50)));
  }

  /** A file on a disk with room for so many more bytes. */
  private static final class Disk extends RandomAccessFile {

    private int room = Integer.MAX_VALUE;

    Disk(Path file) throws IOException {
      super(file.toFile(), "rw");
    }

    @Override
    public void write(byte[] bytes) throws IOException {
      int fits = Math.min(room, bytes.length);
      write(bytes, 0, fits);
      room -= fits;
      if (fits < bytes.length) {
        throw new IOException("No space left on device");
      }
    }
  }
}
