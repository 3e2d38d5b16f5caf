package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.server.TestVersions;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.InterpolateRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any message is a request for images of a version, of each kind, or is the client's fault. */
public class ImageRequestFuzzTest {

  private interface Parser {
    ImageRequest parse(byte[] message, ServedVersion version) throws InvalidProtocolBufferException;
  }

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/image-request"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void request_isValidOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] message) {
    attempt((m, version) -> ImageRequest.of(GenerateRequest.parseFrom(m), version), message);
    attempt((m, version) -> ImageRequest.of(DecodeRequest.parseFrom(m), version), message);
    attempt((m, version) -> ImageRequest.of(InterpolateRequest.parseFrom(m), version), message);
    attempt((m, version) -> ImageRequest.of(GetLatentsRequest.parseFrom(m), version), message);
  }

  private static void attempt(Parser parser, byte[] message) {
    for (ServedVersion version : TestVersions.ALL) {
      try {
        TestVersions.requireImages(parser.parse(message, version), version);
      } catch (InvalidProtocolBufferException | RequestException e) {
        assertThat(e.getMessage()).isNotNull();
      }
    }
  }
}
