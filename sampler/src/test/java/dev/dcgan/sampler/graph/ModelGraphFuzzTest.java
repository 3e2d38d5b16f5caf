package dev.dcgan.sampler.graph;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.InvalidModelException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are a graph whose memory is known, or are refused in one line. */
public class ModelGraphFuzzTest {

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/graph"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void graph_isBoundedOrRefused(Path input) throws IOException {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] model) throws IOException {
    try {
      ModelGraph graph = ModelGraph.read(Path.of("model.onnx"), new ByteArrayInputStream(model));
      assertThat(graph.largestBatch(1, 256, 1 << 30)).isBetween(1, 256);
    } catch (InvalidModelException e) {
      assertThat(e.getMessage()).doesNotContain("\n");
    }
  }
}
