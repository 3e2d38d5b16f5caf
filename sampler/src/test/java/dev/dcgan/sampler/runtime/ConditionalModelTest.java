package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto.AttributeType;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import dev.dcgan.latent.Labels;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.ConditionalModels;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.v1.ModelManifest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConditionalModelTest {

  private static final int LATENT = ConditionalModels.LATENT;
  private static final int SIZE = 14 * 14 * 3;

  @TempDir private Path root;

  @Test
  void eachImage_hasItsOwnLabel_inABatch() throws IOException {
    long[] labels = {2, 0, Labels.mixture(1, 2, 7, 3), 1, Labels.mixture(0, 2, 65_535, 3), 2};
    float[] z = new float[labels.length * LATENT];
    for (int i = 0; i < labels.length; i++) {
      Latents.fill(3, i, z, i * LATENT, LATENT);
    }
    try (Network network = open(publish(), 8)) {
      byte[] together = network.generate(z, labels, Output.PIXELS).bytes();
      byte[] formula = ConditionalModels.images(1, z, labels);
      for (int i = 0; i < labels.length; i++) {
        byte[] alone =
            network
                .generate(
                    Arrays.copyOfRange(z, i * LATENT, (i + 1) * LATENT),
                    new long[] {labels[i]},
                    Output.PIXELS)
                .bytes();
        assertThat(alone).isEqualTo(Arrays.copyOfRange(together, i * SIZE, (i + 1) * SIZE));
      }
      for (int i = 0; i < formula.length; i++) {
        assertThat((together[i] & 0xFF) - (formula[i] & 0xFF)).isBetween(-1, 1);
      }
    }
  }

  @Test
  void withoutLabels_asForProfiling_theLabelIs0() throws IOException {
    float[] z = new float[3 * LATENT];
    try (Network network = open(publish(), 8)) {
      network.generate(new float[5 * LATENT], new long[] {1, 2, 1, 2, 1}, Output.PIXELS);
      assertThat(network.generate(z, Output.PIXELS).bytes())
          .isEqualTo(network.generate(z, new long[3], Output.PIXELS).bytes());
      assertThatThrownBy(() -> network.generate(z, new long[2], Output.PIXELS))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("2 labels: expected one for each of 3 latents");
    }
  }

  @Test
  void open_whenTheLabelIsMissing_rejectsTheVersion() throws IOException {
    ModelProto unconditional = ModelProto.parseFrom(TestModels.onnx(TestModels.weights(3, 1)));
    assertRejected(publish(unconditional), "no input 'label' among [z]; expected INT64 (-1)");
  }

  @Test
  void open_whenTheLabelIsOfAnotherType_rejectsTheVersion() throws IOException {
    ModelProto.Builder model = ModelProto.parseFrom(ConditionalModels.onnx(1)).toBuilder();
    // The label is cast, so that the graph is valid.
    var graph = model.getGraphBuilder();
    graph
        .getInputBuilder(1)
        .setName("label")
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .setElemType(DataType.INT32.getNumber());
    graph.getNodeBuilderList().forEach(node -> replace(node, "label", "label64"));
    var cast = graph.addNodeBuilder(0).setOpType("Cast").addInput("label").addOutput("label64");
    cast.addAttributeBuilder()
        .setName("to")
        .setType(AttributeType.INT)
        .setI(DataType.INT64.getNumber());
    assertRejected(
        publish(model.build()), "input 'label' is INT32 (-1); expected INT64 (-1) by its manifest");
  }

  private static void replace(NodeProto.Builder node, String from, String to) {
    for (int i = 0; i < node.getInputCount(); i++) {
      if (node.getInput(i).equals(from)) {
        node.setInput(i, to);
      }
    }
  }

  @Test
  void open_whenTheManifestHasNoClasses_rejectsTheVersion() throws IOException {
    ModelManifest.Builder manifest = ConditionalModels.manifest("pets", 1).toBuilder();
    manifest.clearClasses().clearLabelScheme();
    manifest.getGoldenBuilderList().forEach(golden -> golden.clearLabel());
    ModelBundle bundle =
        new ModelRepository(root).publish(manifest.build(), ConditionalModels.onnx(1));
    assertRejected(bundle, "expected one, 'z', for a model without classes");
  }

  @Test
  void describe_withoutAManifest_refusesALabel() throws IOException {
    Path folder = Files.createDirectories(root.resolve("pets/1"));
    Files.write(folder.resolve("model.onnx"), ConditionalModels.onnx(1));
    assertThatThrownBy(
            () -> new ModelRepository(root).openUnverified("pets", 1, OnnxModel::describe))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll(
            "'label' INT64 (-1)", "the number of classes of 'label' is not known")
        .hasMessageNotContaining("\n");
  }

  private ModelBundle publish() throws IOException {
    return ConditionalModels.publish(new ModelRepository(root), "pets", 1);
  }

  private ModelBundle publish(ModelProto onnx) throws IOException {
    return new ModelRepository(root)
        .publish(ConditionalModels.manifest("pets", 1), onnx.toByteArray());
  }

  private static void assertRejected(ModelBundle bundle, String fact) {
    assertThatThrownBy(() -> open(bundle, 2).close())
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining(fact);
  }

  private static Network open(ModelBundle bundle, int maxBatch) throws IOException {
    return OnnxModel.open(bundle, RuntimeSettings.cpu(1), maxBatch, 1).get(0);
  }
}
