package dev.dcgan.trainer.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.BatchNorm;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class GeneratorExporterTest {

  private static final Path PYTHON = Path.of("/usr/bin/python3");

  @Test
  void toOnnx_foldsBatchNormIntoWeightAndBias() throws IOException {
    BatchNorm norm =
        new BatchNorm(
            new float[] {3}, new float[] {0.5f}, new float[] {2}, new float[] {3.75f}, 0.25f);
    Layer first = new Layer(1, 1, 1, 1, 0, new float[] {4}, new float[] {1}, norm);
    Layer last = new Layer(1, 1, 1, 1, 0, new float[] {1}, new float[] {0}, null);
    GeneratorWeights weights =
        new GeneratorWeights("point", 1, new ImageShape(1, 1, 1), null, List.of(first, last));

    ModelProto model = ModelProto.parseFrom(GeneratorExporter.toOnnx(weights, Map.of()));

    // scale = 3 / sqrt(3.75 + 0.25) = 1.5
    assertThat(constant(model, "conv1.weight")).isEqualTo(6f);
    assertThat(constant(model, "conv1.bias")).isEqualTo((1 - 2) * 1.5f + 0.5f);
    assertThat(model.getGraph().getNodeList().stream().map(NodeProto::getOpType))
        .containsExactly(
            "Reshape",
            "ConvTranspose",
            "Relu",
            "ConvTranspose",
            "Tanh",
            "Add",
            "Mul",
            "Round",
            "Clip",
            "Cast",
            "Transpose");
  }

  @Test
  void toOnnx_ofTheSameWeightsAndMetadata_givesTheSameBytes() {
    Map<String, String> one = new LinkedHashMap<>();
    one.put("run_id", "r1");
    one.put("dataset", "digits");
    Map<String, String> other = new LinkedHashMap<>();
    other.put("dataset", "digits");
    other.put("run_id", "r1");

    assertThat(GeneratorExporter.toOnnx(LoopGenerator.grey().weights(), one))
        .isEqualTo(GeneratorExporter.toOnnx(LoopGenerator.grey().weights(), other));
  }

  @Test
  void toOnnx_saysWhatTheModelIs() throws IOException {
    byte[] onnx = GeneratorExporter.toOnnx(LoopGenerator.color().weights(), Map.of("run_id", "r1"));

    ModelProto model = ModelProto.parseFrom(onnx);
    assertThat(model.getProducerName()).isEqualTo("dcgan");
    assertThat(model.getIrVersion()).isEqualTo(8);
    assertThat(model.getOpsetImport(0).getVersion()).isEqualTo(17);
    assertThat(
            model.getMetadataPropsList().stream()
                .collect(
                    Collectors.toMap(
                        StringStringEntryProto::getKey, StringStringEntryProto::getValue)))
        .containsExactlyInAnyOrderEntriesOf(
            Map.of(
                "architecture", "paper16",
                "image_shape", "16x16x3",
                "latent_scheme", Latents.SCHEME,
                "latent_size", "7",
                "pixel_quantization", "round((x+1)*127.5)",
                "run_id", "r1"));
  }

  @Test
  void toOnnx_whenLayersDoNotMakeTheStatedShape_saysWhatTheyMake() {
    GeneratorWeights grey = LoopGenerator.grey().weights();
    GeneratorWeights mislabelled =
        new GeneratorWeights("mnist28", 8, new ImageShape(32, 32, 1), null, grey.layers());

    assertThatIllegalArgumentException()
        .isThrownBy(() -> GeneratorExporter.toOnnx(mislabelled, Map.of()))
        .withMessageContaining("28 rows from the last layer; expected 32");
  }

  @Test
  void toOnnx_whenALayerIsShortOfWeights_saysHowMany() {
    Layer layer = new Layer(2, 1, 3, 1, 0, new float[17], new float[1], null);
    GeneratorWeights weights =
        new GeneratorWeights("short", 2, new ImageShape(3, 3, 1), null, List.of(layer));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> GeneratorExporter.toOnnx(weights, Map.of()))
        .withMessageContaining("17 weights in a layer; expected 18");
  }

  @Test
  void toOnnx_ofAConditionalGenerator_hasASecondInput() throws IOException {
    byte[] onnx = GeneratorExporter.toOnnx(LoopGenerator.conditional(10).weights(), Map.of());

    ModelProto model = ModelProto.parseFrom(onnx);
    assertThat(model.getGraph().getInputList())
        .extracting(input -> input.getName() + " " + input.getType().getTensorType().getElemType())
        .containsExactly("z 1", "label 7"); // float, int64
    assertThat(model.getGraph().getInput(1).getType().getTensorType().getShape().getDimList())
        .extracting(dim -> dim.getDimParam())
        .containsExactly("N");
    assertThat(model.getMetadataPropsList())
        .extracting(each -> each.getKey() + "=" + each.getValue())
        .contains("classes=10", "label_scheme=philox4x32-10/counts/1", "latent_size=8");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void toOnnx_passesTheReferenceChecker(boolean conditional, @TempDir Path folder)
      throws Exception {
    assumeTrue(
        Files.isExecutable(PYTHON) && python(folder, "import onnx.checker") == 0,
        "python3-onnx is not installed: onnx.checker is not run");
    Files.write(
        folder.resolve("model.onnx"),
        GeneratorExporter.toOnnx(
            (conditional ? LoopGenerator.conditional(10) : LoopGenerator.color()).weights(),
            Map.of("run_id", "r1")));

    int exit =
        python(folder, "import onnx; onnx.checker.check_model('model.onnx', full_check=True)");

    assertThat(Files.readString(folder.resolve("log"))).isEmpty();
    assertThat(exit).isZero();
  }

  private static int python(Path folder, String program) throws Exception {
    return new ProcessBuilder(PYTHON.toString(), "-c", program)
        .directory(folder.toFile())
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("log").toFile())
        .start()
        .waitFor();
  }

  private static float constant(ModelProto model, String name) {
    TensorProto tensor =
        model.getGraph().getInitializerList().stream()
            .filter(candidate -> candidate.getName().equals(name))
            .findFirst()
            .orElseThrow();
    return tensor.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN).getFloat();
  }
}
