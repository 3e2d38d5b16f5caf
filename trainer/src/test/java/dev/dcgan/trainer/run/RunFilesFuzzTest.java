package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a run.json or are refused, and each line is an event or is skipped. */
public class RunFilesFuzzTest {

  private static final Path FILE = Path.of("run.json");

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/run"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void runAndEvents_areReadOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    try {
      Run run = RunDirectory.parse(FILE, bytes);
      assertThat(run.getFormatVersion()).isEqualTo(2);
    } catch (IOException e) {
      assertThat(e.getMessage()).startsWith("run.json ");
    }
    for (String line : new String(bytes, StandardCharsets.UTF_8).split("\n", -1)) {
      try {
        assertThat(RunRecord.parse(line).setIndex(1).build().getIndex()).isEqualTo(1);
      } catch (InvalidProtocolBufferException e) {
        assertThat(e.getMessage()).isNotNull();
      }
    }
  }
}
