package dev.dcgan.sampler.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** Models of other programs, in what they may do wrong or otherwise. */
class OutputProbeTest {

  private static final float[] Z = latents(7);

  @TempDir private Path root;
  private ModelProto plain = ModelProto.getDefaultInstance();
  private int models;

  @BeforeEach
  void plainModel() throws IOException {
    plain = ModelProto.parseFrom(TestModels.handmade(TestModels.weights(1, 1)));
  }

  @Test
  void outputInUnitRange_isMapped() throws IOException {
    float[] raw = floats(bundle(graph -> append(graph, "Tanh")));
    ModelBundle sigmoid = bundle(graph -> append(graph, "Sigmoid"));

    assertThat(sigmoid.manifest().getOutputRange()).isEqualTo("[0, 1]");
    float[] mapped = floats(sigmoid);
    assertThat(mapped[0]).isBetween(-1f, 1f);
    assertThat(min(mapped)).as("not washed out").isLessThan(0);
    assertThat(raw).hasSameSizeAs(mapped);
    byte[] pixels = pixels(sigmoid);
    for (int i = 0; i < mapped.length; i++) {
      assertThat(pixels[i] & 0xFF).isEqualTo((int) Math.rint((mapped[i] + 1) * 127.5f));
    }
  }

  @Test
  void outputInGreyLevels_isMapped() throws IOException {
    float[] unit = floats(bundle(graph -> append(graph, "Sigmoid")));
    ModelBundle bytes =
        bundle(
            graph -> {
              append(graph, "Sigmoid");
              append(graph, "Mul", constant(graph, 255));
            });

    assertThat(bytes.manifest().getOutputRange()).isEqualTo("[0, 255]");
    float[] mapped = floats(bytes);
    for (int i = 0; i < mapped.length; i++) {
      assertThat(mapped[i]).isCloseTo(unit[i], within());
    }
  }

  @Test
  void outputInSignedRange_isKept() throws IOException {
    assertThat(bundle(graph -> {}).manifest().getOutputRange()).isEqualTo("[-1, 1]");
  }

  @Test
  void outputInAnotherRange_isRefused() {
    assertRefused(graph -> append(graph, "Mul", constant(graph, 5)), "expected [-1, 1]");
  }

  @Test
  void nearlyEqualImages_areReported() throws IOException {
    Logger logger = (Logger) LoggerFactory.getLogger(OutputProbe.class);
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    logger.addAppender(log);
    try {
      bundle(graph -> {});
      assertThat(log.list).isEmpty();
      bundle(graph -> append(graph, "Mul", constant(graph, 1e-4f)));
      assertThat(log.list).singleElement().asString().contains("the same image");
    } finally {
      logger.detachAppender(log);
    }
  }

  @Test
  void outputWithNan_isRefused() {
    assertRefused(graph -> append(graph, "Log"), "NaN");
  }

  @Test
  void randomOutput_isRefused() {
    assertRefused(
        graph -> {
          String image = graph.getOutput(0).getName();
          graph.addNode(
              NodeProto.newBuilder()
                  .setOpType("RandomNormalLike")
                  .addInput(image)
                  .addOutput("noise2")
                  .addAttribute(
                      AttributeProto.newBuilder()
                          .setName("scale")
                          .setType(AttributeProto.AttributeType.FLOAT)
                          .setF(0.01f)));
          append(graph, "Add", "noise2");
        },
        "random");
  }

  @Test
  void outputThatDependsOnTheBatch_isRefused() {
    assertRefused(
        graph -> {
          String image = graph.getOutput(0).getName();
          graph.addNode(
              NodeProto.newBuilder()
                  .setOpType("ReduceMean")
                  .addInput(image)
                  .addOutput("mean")
                  .addAttribute(
                      AttributeProto.newBuilder()
                          .setName("axes")
                          .setType(AttributeProto.AttributeType.INTS)
                          .addInts(0)));
          append(graph, "Sub", "mean");
          append(graph, "Tanh");
        },
        "model.eval()");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 4, 16})
  void fixedBatch_hasTheSameImagesInPieces(int batch) throws IOException {
    ModelBundle any = bundle(graph -> {});
    ModelBundle fixed =
        bundle(
            graph -> {
              setBatch(graph.getInputBuilder(0), batch);
              setBatch(graph.getOutputBuilder(0), batch);
            });

    float[] expected = floats(any);
    float[] found = floats(fixed);
    for (int i = 0; i < expected.length; i++) {
      assertThat(found[i]).isCloseTo(expected[i], within());
    }
    assertThat(pixels(fixed)).hasSize(expected.length);
  }

  @Test
  void severalImageOutputs_needAUsualName() throws IOException {
    assertThat(bundle(graph -> copyOutput(graph, "sketch")).shape().channels()).isEqualTo(1);
    assertRefused(
        graph -> {
          append(graph, "Tanh");
          copyOutput(graph, "sketch");
        },
        "sketch");
  }

  private static org.assertj.core.data.Offset<Float> within() {
    return org.assertj.core.data.Offset.offset(1e-5f);
  }

  private void assertRefused(Consumer<GraphProto.Builder> change, String fact) {
    assertThatThrownBy(() -> bundle(change))
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContaining(fact)
        .message()
        .doesNotContain("\n");
  }

  /** A version without a manifest: the plain model with a change. */
  private ModelBundle bundle(Consumer<GraphProto.Builder> change) throws IOException {
    ModelProto.Builder model = plain.toBuilder();
    change.accept(model.getGraphBuilder());
    String name = "m" + ++models;
    Path folder = Files.createDirectories(root.resolve(name).resolve("1"));
    Files.write(folder.resolve("model.onnx"), model.build().toByteArray());
    return new ModelRepository(root).openUnverified(name, 1, OnnxModel::describe);
  }

  /** Appends a node that reads the image, and becomes the image. */
  private static void append(GraphProto.Builder graph, String operator, String... others) {
    String image = graph.getOutput(0).getName();
    String next = image + "_" + operator;
    graph.addNode(
        NodeProto.newBuilder()
            .setOpType(operator)
            .addInput(image)
            .addAllInput(List.of(others))
            .addOutput(next));
    graph.getOutputBuilder(0).setName(next);
  }

  private static String constant(GraphProto.Builder graph, float value) {
    String name = "constant" + graph.getInitializerCount();
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName(name)
            .setDataType(DataType.FLOAT.getNumber())
            .addFloatData(value));
    return name;
  }

  private static void copyOutput(GraphProto.Builder graph, String name) {
    ValueInfoProto.Builder copy = graph.getOutput(0).toBuilder().setName(name);
    graph.addNode(
        NodeProto.newBuilder()
            .setOpType("Identity")
            .addInput(graph.getOutput(0).getName())
            .addOutput(name));
    graph.addOutput(copy);
  }

  private static void setBatch(ValueInfoProto.Builder tensor, int batch) {
    tensor
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .getShapeBuilder()
        .getDimBuilder(0)
        .setDimValue(batch);
  }

  private static float[] floats(ModelBundle bundle) throws IOException {
    float[] floats = new float[7 * bundle.shape().values()];
    ByteBuffer.wrap(run(bundle, Output.FLOATS))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(floats);
    return floats;
  }

  private static byte[] pixels(ModelBundle bundle) throws IOException {
    return run(bundle, Output.PIXELS);
  }

  private static byte[] run(ModelBundle bundle, Output output) throws IOException {
    try (Network network = OnnxModel.open(bundle, RuntimeSettings.cpu(1), 8, 1).get(0)) {
      return network.generate(Z, output).bytes();
    }
  }

  private static float min(float[] values) {
    float min = Float.POSITIVE_INFINITY;
    for (float value : values) {
      min = Math.min(min, value);
    }
    return min;
  }

  private static float[] latents(int count) {
    float[] z = new float[count * TestModels.LATENT];
    for (int i = 0; i < count; i++) {
      Latents.fill(3, i, z, i * TestModels.LATENT, TestModels.LATENT);
    }
    return z;
  }
}
