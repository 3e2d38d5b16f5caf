package dev.dcgan.sampler.graph;

import static dev.dcgan.sampler.graph.OnnxModels.ints;
import static dev.dcgan.sampler.graph.OnnxModels.number;
import static dev.dcgan.sampler.graph.OnnxModels.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.sampler.server.TestModels;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ModelGraphTest {

  private static final int N = 3;
  private static final long MIB = 1 << 20;

  @TempDir private Path root;

  /** Graphs that make x of z (N, 8, 4, 4), as exporters write them. */
  static Stream<Arguments> graphs() {
    return Stream.of(
            // PyTorch: x.view(x.size(0), -1, 2, 2).
            graph("view", 17)
                .scalar("i0", 0)
                .longs("axes", 0)
                .longs("rest", -1, 2, 2)
                .node("Shape", "z", "s")
                .node("Gather", "s i0", "n", number("axis", 0))
                .node("Unsqueeze", "n axes", "n1")
                .node("Concat", "n1 rest", "to", number("axis", 0))
                .node("Reshape", "z to", "x"),
            // tf2onnx: a slice of the shape, computed in int32.
            graph("strided slice", 13)
                .longs("b", 0)
                .longs("e", 1)
                .longs("axes", 0)
                .longs("rest", 128)
                .node("Shape", "z", "s")
                .node("Cast", "s", "s32", number("to", 6))
                .node("Slice", "s32 b e axes", "n")
                .node("Cast", "n", "n64", number("to", 7))
                .node("Concat", "n64 rest", "to", number("axis", 0))
                .node("Reshape", "z to", "x"),
            // tf2onnx: the size of a transposed convolution, cut to what Keras expects.
            graph("keras transposed convolution", 13)
                .floats("w", List.of(8L, 5L, 5L, 5L), 1)
                .longs("two", 2)
                .longs("h", 2)
                .longs("h1", 3)
                .longs("axes", 0)
                .longs("zero", 0)
                .node("Shape", "z", "s")
                .node("Slice", "s h h1 axes", "rows")
                .node("Mul", "rows two", "out")
                .node(
                    "ConvTranspose", "z w", "y", ints("strides", 2, 2), ints("kernel_shape", 5, 5))
                .longs("axis2", 2)
                .node("Slice", "y zero out axis2", "x"),
            graph("transposed convolution", 17)
                .floats("w", List.of(8L, 3L, 4L, 4L), 1)
                .node(
                    "ConvTranspose",
                    "z w",
                    "x",
                    ints("strides", 2, 2),
                    ints("pads", 1, 1, 1, 1),
                    ints("output_padding", 1, 0),
                    ints("dilations", 1, 2)),
            graph("grouped transposed convolution", 17)
                .floats("w", List.of(8L, 3L, 2L, 2L), 1)
                .node(
                    "ConvTranspose",
                    "z w",
                    "x",
                    ints("strides", 2, 2),
                    number("group", 2),
                    ints("output_shape", 9, 8)),
            graph("same", 17)
                .floats("w", List.of(8L, 3L, 5L, 5L), 1)
                .node(
                    "ConvTranspose",
                    "z w",
                    "x",
                    ints("strides", 2, 2),
                    text("auto_pad", "SAME_UPPER")),
            graph("convolution", 17)
                .floats("w", List.of(6L, 8L, 3L, 3L), 1)
                .node("Conv", "z w", "x", ints("strides", 2, 1), ints("pads", 1, 0, 1, 0)),
            graph("same convolution", 17)
                .floats("w", List.of(6L, 8L, 3L, 3L), 1)
                .node("Conv", "z w", "x", ints("strides", 2, 2), text("auto_pad", "SAME_LOWER")),
            graph("resize by scales", 17)
                .floats("one", List.of(2L), 1)
                .floats("two", List.of(2L), 2.5f)
                .node("Concat", "one two", "scales", number("axis", 0))
                .node("Resize", "z  scales", "x", text("mode", "nearest")),
            // PyTorch: interpolate(size=...).
            graph("resize to sizes", 17)
                .longs("hw", 7, 9)
                .longs("b", 0)
                .longs("e", 2)
                .node("Shape", "z", "s")
                .node("Slice", "s b e", "nc")
                .node("Concat", "nc hw", "sizes", number("axis", 0))
                .node("Resize", "z   sizes", "x", text("mode", "linear")),
            graph("upsample", 9)
                .floats("scales", List.of(4L), 1)
                .node("Upsample", "z scales", "x", text("mode", "nearest")),
            graph("pad", 17)
                .longs("pads", 0, 0, 1, 2, 0, 0, 3, 3)
                .node("Pad", "z pads", "x", text("mode", "reflect")),
            graph("depth to space", 17).node("DepthToSpace", "z", "x", number("blocksize", 2)),
            graph("space to depth", 17).node("SpaceToDepth", "z", "x", number("blocksize", 2)),
            graph("pool", 17)
                .node("AveragePool", "z", "x", ints("kernel_shape", 3, 2), ints("strides", 2, 3)),
            graph("pool up", 17)
                .node(
                    "MaxPool",
                    "z",
                    "x",
                    ints("kernel_shape", 3, 3),
                    ints("strides", 2, 2),
                    number("ceil_mode", 1)),
            graph("global pool", 17).node("GlobalAveragePool", "z", "x"),
            graph("dense", 17)
                .floats("w", List.of(128L, 10L), 1)
                .floats("b", List.of(10L), 1)
                .node("Flatten", "z", "f")
                .node("Gemm", "f w b", "x"),
            graph("dense, transposed", 17)
                .floats("w", List.of(10L, 128L), 1)
                .node("Flatten", "z", "f")
                .node("Gemm", "f w", "x", number("transB", 1)),
            graph("attention", 17)
                .node("Transpose", "z", "t", ints("perm", 0, 1, 3, 2))
                .node("MatMul", "z t", "m")
                .node("Softmax", "m", "x", number("axis", -1)),
            graph("expand", 17)
                .longs("shape", 1, 2, 1, 8, 4, 4)
                .longs("axes", 1, 2)
                .node("Unsqueeze", "z axes", "u")
                .node("Expand", "u shape", "x"),
            // PyTorch: x.expand(-1, ...), with -1 replaced by 1.
            graph("where", 17)
                .longs("wanted", -1, 8, 4, 4)
                .longs("rank", 4)
                .longs("minus", -1)
                .node(
                    "ConstantOfShape",
                    "rank",
                    "ones",
                    AttributeProto.newBuilder()
                        .setName("value")
                        .setType(AttributeProto.AttributeType.TENSOR)
                        .setT(TensorProto.newBuilder().setDataType(7).addDims(1).addInt64Data(1)))
                .node("Mul", "ones minus", "negative")
                .node("Equal", "wanted negative", "is")
                .node("Where", "is ones wanted", "shape")
                .node("Expand", "z shape", "x"),
            graph("tile", 17).longs("r", 1, 2, 3, 1).node("Tile", "z r", "x"),
            graph("range", 17)
                .scalar("a", 1)
                .scalar("b", 8)
                .scalar("c", 3)
                .node("Range", "a b c", "r")
                .node("Gather", "z r", "x", number("axis", 1)),
            graph("split", 17)
                .longs("parts", 5, 3)
                .node("Split", "z parts", "y x", number("axis", 1))
                .node("Relu", "y", "other"),
            graph("slice back", 17)
                .longs("b", -1, 3)
                .longs("e", -9, 0)
                .longs("axes", 1, -1)
                .longs("steps", -2, -1)
                .node("Slice", "z b e axes steps", "x"),
            graph("squeeze", 17)
                .longs("axes", 1)
                .node("ReduceMean", "z", "m", ints("axes", 1))
                .node("Squeeze", "m axes", "x"),
            graph("reduce", 17)
                .node("ReduceMax", "z", "x", ints("axes", -1, 1), number("keepdims", 0)),
            graph("arg max", 17).node("ArgMax", "z", "x", number("axis", 1), number("keepdims", 0)),
            graph("one hot", 17)
                .scalar("depth", 5)
                .floats("values", List.of(2L), 1)
                .node("ArgMax", "z", "i", number("axis", 1), number("keepdims", 0))
                .node("OneHot", "i depth values", "x", number("axis", 1)),
            graph("product of the shape", 17)
                .longs("b", 1)
                .longs("e", 4)
                .longs("minus", -1)
                .node("Shape", "z", "s")
                .node("Slice", "s b e", "rest")
                .node("ReduceProd", "rest", "p", number("keepdims", 1))
                .node("Concat", "minus p", "to", number("axis", 0))
                .node("Reshape", "z to", "x"),
            graph("normalization", 17)
                .floats("c", List.of(8L), 1)
                .node("InstanceNormalization", "z c c", "a")
                .node("BatchNormalization", "a c c c c", "b")
                .node("LeakyRelu", "b", "d")
                .node("PRelu", "d slope", "x")
                .floats("slope", List.of(8L, 1L, 1L), 1))
        .map(graph -> Arguments.of(graph.graph().getName(), graph));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("graphs")
  void shapes_areThoseOfOnnxRuntime(String name, OnnxModels graph) throws Exception {
    int opset = Integer.parseInt(name.substring(name.lastIndexOf(' ') + 1));
    graph.graph().clearOutput().addOutput(ValueInfoProto.newBuilder().setName("x"));
    byte[] model = graph.model(opset);

    Map<String, Tensor> values = new HashMap<>();
    ModelGraph.Peak unused = read(model).peak(N, values);
    assertThat(values.get("x"))
        .isNotNull()
        .satisfies(x -> assertThat(x.dims()).isEqualTo(shapeInOnnxRuntime(model)));
  }

  private static List<Long> shapeInOnnxRuntime(byte[] model) throws OrtException {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession session = environment.createSession(model);
        OnnxTensor z =
            OnnxTensor.createTensor(
                environment, FloatBuffer.allocate(N * 128), new long[] {N, 8, 4, 4});
        OrtSession.Result result = session.run(Map.of("z", z))) {
      return LongStream.of(((OnnxTensor) result.get(0)).getInfo().getShape()).boxed().toList();
    }
  }

  private static OnnxModels graph(String name, int opset) {
    OnnxModels graph = new OnnxModels(8, 4, 4);
    graph.graph().setName(name + " " + opset);
    return graph;
  }

  @Test
  void exportedModels_areAllowed() throws IOException {
    ModelGraph ours = read(TestModels.onnx(TestModels.weights(3, 1)));
    assertThat(ours.largestBatch(1, 256, MIB << 10)).isEqualTo(256);
    ModelGraph theirs = read(TestModels.handmade(TestModels.weights(1, 1)));
    assertThat(theirs.largestBatch(1, 256, MIB << 10)).isEqualTo(256);
  }

  @Test
  void batch_isHalved_untilItsValuesFit() throws IOException {
    ModelGraph graph = read(TestModels.onnx(TestModels.weights(3, 1)));
    long one = graph.peak(1).bytes();
    long eight = graph.peak(8).bytes();
    assertThat(eight).isBetween(one + 1, 8 * one);
    assertThat(graph.largestBatch(1, 100, eight)).isEqualTo(6);
    assertThat(graph.largestBatch(1, 8, eight)).isEqualTo(8);
    assertRefused(() -> graph.largestBatch(1, 8, one - 1), one + " bytes", "--activation-memory");
    assertRefused(() -> graph.largestBatch(8, 8, eight - 1), eight + " bytes", "8 images");
  }

  @Test
  void smallFileThatNeedsGigabytes_isRefused_withTheNumbers() throws IOException {
    byte[] model =
        new OnnxModels(8, 4, 4)
            .longs("shape", 1, 600, 1000, 1000)
            .node("ConstantOfShape", "shape", "big")
            .node("ReduceMax", "big", "x")
            .output("x")
            .model(17);
    assertThat(model).hasSizeLessThan(632);
    ModelGraph graph = read(model);
    assertRefused(
        () -> graph.largestBatch(1, 256, 1 << 30),
        "'big_node' (ConstantOfShape)",
        "2400000",
        "expected at most 1073741824");
  }

  @Test
  void sizeThatFollowsFromLatents_isRefused() throws IOException {
    byte[] model =
        new OnnxModels(8, 4, 4)
            .node("ReduceMax", "z", "m", number("keepdims", 0))
            .longs("axes", 0)
            .node("Unsqueeze", "m axes", "v")
            .node("Cast", "v", "s", number("to", 7))
            .node("ConstantOfShape", "s", "x")
            .output("x")
            .model(17);
    assertRefused(() -> read(model).peak(1), "'x_node' (ConstantOfShape)", "computed values");
  }

  @Test
  void columnsOfATransposedConvolution_count() throws IOException {
    byte[] model =
        new OnnxModels(8, 4, 4)
            .longs("big", 1, 1, 2000, 2000)
            .floats("w", List.of(1L, 1L, 40L, 40L), 1)
            .node("ReduceMax", "z", "m", ints("axes", 1, 2, 3))
            .node("Expand", "m big", "e")
            .node("ConvTranspose", "e w", "x", ints("strides", 1, 1))
            .output("x")
            .model(17);
    assertThat(read(model).peak(1).bytes()).isGreaterThan(2000L * 2000 * 1600 * 4);
  }

  @Test
  void disallowedGraphs_areNamed() throws IOException {
    OnnxModels loop = new OnnxModels(8);
    loop.node(
        "Loop",
        "z",
        "x",
        AttributeProto.newBuilder()
            .setName("body")
            .setType(AttributeProto.AttributeType.GRAPH)
            .setG(new OnnxModels(8).node("Relu", "z", "y").graph()));
    assertRefused(() -> read(loop.model(17)), "'x_node'", "subgraph", "Loop");

    assertRefused(
        () -> read(new OnnxModels(8).node("SequenceConstruct", "z", "x").model(17)),
        "'x_node' (SequenceConstruct)",
        "not allowed");
    OnnxModels custom = new OnnxModels(8).node("Relu", "z", "x");
    custom.graph().getNodeBuilder(0).setDomain("com.microsoft");
    assertRefused(() -> read(custom.model(17)), "'x_node' (Relu)", "'com.microsoft'");
    OnnxModels sparse = new OnnxModels(8).node("Relu", "z", "x");
    sparse.graph().addSparseInitializerBuilder();
    assertRefused(() -> read(sparse.model(17)), "sparse");
    OnnxModels hollow = new OnnxModels(8).node("Relu", "z", "x");
    hollow.graph().addInitializerBuilder().setName("w").setDataType(1).addDims(1L << 40);
    assertRefused(() -> read(hollow.model(17)), "'w'", "0 bytes of data");
    OnnxModels map = new OnnxModels(8).node("Relu", "z", "x");
    map.graph().getInputBuilder(0).getTypeBuilder().getMapTypeBuilder();
    assertRefused(() -> read(map.model(17)), "'z'", "map");
    byte[] functions =
        ModelProto.parseFrom(new OnnxModels(8).model(17)).toBuilder()
            .addFunctions(ai.onnx.proto.OnnxMl.FunctionProto.newBuilder().setName("f"))
            .build()
            .toByteArray();
    assertRefused(() -> read(functions), "local functions");
    OnnxModels unknown = new OnnxModels(8).node("Relu", "y\n", "x");
    assertRefused(() -> read(unknown.model(17)).peak(1), "'y?'", "no node before it makes");
  }

  @Test
  void fileOfManySmallObjects_isRefused() throws IOException {
    TensorProto.Builder small = TensorProto.newBuilder().setDataType(7).addDims(256);
    for (int i = 0; i < 256; i++) {
      small.addInt64Data(1);
    }
    AttributeProto.Builder constant =
        AttributeProto.newBuilder()
            .setName("value")
            .setType(AttributeProto.AttributeType.TENSOR)
            .setT(small);
    OnnxModels constants = new OnnxModels(8);
    for (int i = 0; i < 3000; i++) {
      constants.node("Constant", "", "c" + i, constant); // 275 bytes of the file, 6 KiB of heap
    }
    assertRefused(() -> read(constants.model(17)), "attributes", "16777216 bytes");

    OnnxModels inputs = new OnnxModels(8);
    inputs.node("Concat", " ".repeat(300_000), "x");
    assertRefused(() -> read(inputs.model(17)), "names", "16777216 bytes");
  }

  @Test
  void truncatedModels_areRefused() throws IOException {
    byte[] model = TestModels.onnx(TestModels.weights(1, 1));
    for (int size = 1; size < model.length; size += size < 500 ? 1 : 97) {
      byte[] part = Arrays.copyOf(model, size);
      try {
        ModelGraph.Peak unused = read(part).peak(1);
      } catch (InvalidModelException e) {
        assertThat(e.getMessage()).startsWith("cannot use ").doesNotContain("\n");
      }
    }
  }

  private static void assertRefused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String... facts) {
    assertThatThrownBy(call)
        .isInstanceOf(InvalidModelException.class)
        .hasMessageContainingAll(facts)
        .message()
        .doesNotContain("\n");
  }

  private ModelGraph read(byte[] model) throws IOException {
    return ModelGraph.read(Files.write(root.resolve("model.onnx"), model));
  }
}
