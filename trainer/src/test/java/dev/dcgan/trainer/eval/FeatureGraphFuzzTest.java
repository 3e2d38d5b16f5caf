package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Any bytes are refused, or a model without subgraphs and without weights in other files. */
public class FeatureGraphFuzzTest {

  private static final Path FILE = Path.of("file");

  /** The inputs that every build replays. */
  static Stream<Path> inputs() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/fuzz/features"))) {
      return files.sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @MethodSource("inputs")
  void graph_isFeedForwardOrRefused(Path input) throws Exception {
    fuzzerTestOneInput(Files.readAllBytes(input));
  }

  /** Called by the fuzzer with any bytes; an exception is a finding. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    try {
      FeatureGraph.require(FILE, new ByteArrayInputStream(bytes));
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("file");
      return;
    }
    ModelProto model;
    try {
      model = ModelProto.parseFrom(bytes); // As ONNX Runtime reads it.
    } catch (IOException e) {
      return;
    }
    assertThat(model.getFunctionsCount()).isZero();
    for (NodeProto node : model.getGraph().getNodeList()) {
      assertThat(node.getOpType()).isNotIn("Loop", "If", "Scan");
      assertThat(node.getAttributeList())
          .noneMatch(attribute -> attribute.hasG() || attribute.getGraphsCount() > 0);
    }
    assertThat(model.getGraph().getInitializerList())
        .noneMatch(weight -> weight.getDataLocation().getNumber() == 1);
  }
}
