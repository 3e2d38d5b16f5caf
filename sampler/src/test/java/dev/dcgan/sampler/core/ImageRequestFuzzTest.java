package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.v1.GenerateRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any message is a request or is the client's fault. */
public class ImageRequestFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/image-request"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void request_isValidOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] message) {
    try {
      assertThat(ImageRequest.of(GenerateRequest.parseFrom(message))).isNotNull();
    } catch (InvalidProtocolBufferException | RequestException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
