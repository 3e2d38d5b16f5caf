package dev.dcgan.sampler.graph;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.dcgan.model.InvalidModelException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;

/** Any bytes are a graph whose memory is known, or are refused in one line. */
class ModelGraphFuzzTest {

  @FuzzTest
  void graph_isBoundedOrRefused(byte[] model) throws IOException {
    try {
      ModelGraph graph = ModelGraph.read(Path.of("model.onnx"), new ByteArrayInputStream(model));
      assertThat(graph.largestBatch(1, 256, 1 << 30)).isBetween(1, 256);
    } catch (InvalidModelException e) {
      assertThat(e.getMessage()).doesNotContain("\n");
    }
  }
}
