package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Of any bytes the whole lines are the events, in order, and more can be appended. */
public class EventLogFuzzTest {

  private static final Path FILE = file();

  /** One for all executions, because creating one takes longest. */
  private static Path file() {
    try {
      Path file = Files.createTempFile("fuzz", ".jsonl");
      file.toFile().deleteOnExit();
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/events"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void lines_areRead_inOrder(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    Files.write(FILE, bytes);
    List<String> lines = new ArrayList<>();
    int begin = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '\n') {
        boolean tooLong = i - begin > EventLog.MAX_LINE_BYTES;
        lines.add(tooLong ? "" : new String(bytes, begin, i - begin, StandardCharsets.UTF_8));
        begin = i + 1;
      }
    }
    try (EventLog log = EventLog.open(FILE)) {
      assertThat(log.size()).isEqualTo(lines.size());
      assertThat(log.append("{}")).isEqualTo(lines.size());
      lines.add("{}");
      assertThat(log.read(0, lines.size())).isEqualTo(lines);
      int middle = lines.size() / 2;
      assertThat(log.read(middle, 1)).containsExactly(lines.get(middle));
    }
  }
}
