package dev.dcgan.sampler.grpc;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.server.TestVersions;
import dev.dcgan.v1.inference.ModelInferRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any message is a request of the Open Inference Protocol or is the client's fault. */
public class InferRequestFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/infer-request"))) {
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
    for (ServedVersion version : TestVersions.ALL) {
      try {
        ModelInferRequest request = ModelInferRequest.parseFrom(message);
        assertThat(InferRequest.version("model_version", request.getModelVersion()))
            .isNotNegative();
        InferEncoding encoding = InferEncoding.of(request);
        ImageRequest images = InferRequest.parse(request, encoding.outputs(), version);
        TestVersions.requireImages(images, version);
        assertThat(encoding.requireFits(images, version)).isPositive();
      } catch (InvalidProtocolBufferException | RequestException e) {
        assertThat(e.getMessage()).isNotNull();
      }
    }
  }
}
