package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.FunctionProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import dev.dcgan.model.ImageShape;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** ONNX models of features. */
public class OnnxFeaturesTest {

  private static final int OPEN = -1;
  private static final int PRODUCTS = 2000;
  private static final ImageShape RGB = new ImageShape(2, 2, 3);

  /** Two images of one color each. */
  private static final byte[] PLAIN = {
    0, 51, -1, 0, 51, -1, 0, 51, -1, 0, 51, -1, // 0, 51, 255
    -1, -1, 0, -1, -1, 0, -1, -1, 0, -1, -1, 0, // 255, 255, 0
  };

  @TempDir Path folder;

  @Test
  void extract_ofFourDimensions_givesOneRowPerImage() throws IOException {
    Features features = extract(means(OPEN, 3, 2, 2), PLAIN, 2, RGB);

    assertThat(features.values().rows()).isEqualTo(2);
    assertThat(features.values().values())
        .containsExactly(new float[] {-1, -0.6f, 1, 1, 1, -1}, within(1e-6f));
    assertThat(features.probabilities()).isNull();
  }

  @ParameterizedTest
  @CsvSource({
    "'[-1,1]',   -1, -0.6, 1",
    "'[0, 1]',    0,  0.2, 1",
    "'[0,255]',   0,   51, 255",
  })
  void extract_followsTheRangeInTheMetadata(String range, float red, float green, float blue)
      throws IOException {
    ModelProto.Builder model = means(OPEN, 3, OPEN, OPEN);
    model.addMetadataProps(
        StringStringEntryProto.newBuilder().setKey("normalisation").setValue(range));

    assertThat(extract(model, PLAIN, 2, RGB).first(1).values().values())
        .containsExactly(new float[] {red, green, blue}, within(1e-5f));
  }

  @ParameterizedTest
  @CsvSource({
    "unit,      0,     0.2,    1",
    "byte,      0,    51,    255",
    "imagenet, -2.117904, -1.142857, 2.64",
  })
  void extract_followsTheOption_overTheMetadata(String range, float red, float green, float blue)
      throws IOException {
    ModelProto.Builder model = means(OPEN, 3, OPEN, OPEN);
    model.addMetadataProps(
        StringStringEntryProto.newBuilder().setKey("normalization").setValue("[-1,1]"));

    try (OnnxFeatures features = OnnxFeatures.open(write(model), range)) {
      assertThat(features.extract(PLAIN, 1, RGB).values().values())
          .containsExactly(new float[] {red, green, blue}, within(1e-4f));
      assertThat(features.check(PLAIN, 2, RGB)).contains("--features-range", "3 features");
    }
  }

  @Test
  void extract_byAChannelsLastModel_givesItSuchImages() throws IOException {
    byte[] pixels = {0, 51, -1, 0, 51, -1, 0, 51, -1, -1, 51, 0};

    for (int size : new int[] {2, OPEN}) {
      assertThat(values(flatLast(DataType.FLOAT, OPEN, size, size, 3), pixels, RGB))
          .containsExactly(
              new float[] {-1, -0.6f, 1, -1, -0.6f, 1, -1, -0.6f, 1, 1, -0.6f, -1}, within(1e-6f));
    }
    try (OnnxFeatures features =
        OnnxFeatures.open(write(flatLast(DataType.FLOAT, 1, 2, 2, 3)), "")) {
      assertThat(features.check(PLAIN, 2, RGB))
          .contains("float NHWC", "batch 1", "[-1,1] (assumed", "12 features");
    }
  }

  @Test
  void extract_byAModelOfBytes_givesItThePixels() throws IOException {
    byte[] pixels = {0, 51, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};

    assertThat(values(flatLast(DataType.UINT8, OPEN, 2, 2, 3), pixels, RGB))
        .containsExactly(0, 51, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    assertThatIOException()
        .isThrownBy(() -> OnnxFeatures.open(folder.resolve("model.onnx"), "imagenet"))
        .withMessageContainingAll("uint8", "imagenet", "[0,255]");
  }

  @Test
  void open_ofALayoutThatCannotBeKnown_isRefused() {
    assertRefused(means(OPEN, OPEN, OPEN, OPEN), "fixed number of channels");
  }

  @Test
  void open_ofNamedChannels_knowsTheLayout() throws IOException {
    ModelProto.Builder model = means(OPEN, OPEN, OPEN, OPEN);
    model
        .getGraphBuilder()
        .getInputBuilder(0)
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .getShapeBuilder()
        .getDimBuilder(1)
        .setDimParam("Channels");

    try (OnnxFeatures features = OnnxFeatures.open(write(model), "")) {
      assertThat(features.check(PLAIN, 2, RGB)).contains("float NCHW");
    }
  }

  @Test
  void check_ofEqualFeaturesForDifferentImages_refuses() throws IOException {
    ModelProto.Builder model = means(OPEN, 3, 2, 2);
    model
        .getGraphBuilder()
        .clearNode()
        .addNode(node("GlobalAveragePool", "image", "means"))
        .addNode(node("Sub", "means", "features").toBuilder().addInput("means").build());

    try (OnnxFeatures features = OnnxFeatures.open(write(model), "")) {
      assertThatIOException()
          .isThrownBy(() -> features.check(PLAIN, 2, RGB))
          .withMessageContainingAll("the same 3 features", "--features-range");
    }
  }

  @Test
  void check_ofAFeatureMap_isRefused() throws IOException {
    ModelProto.Builder model =
        model(
            node("Neg", "image", "features"),
            info("image", DataType.FLOAT, OPEN, 3, OPEN, OPEN),
            info("features", DataType.FLOAT, OPEN, 3, OPEN, OPEN));

    try (OnnxFeatures features = OnnxFeatures.open(write(model), "")) {
      assertThatIOException()
          .isThrownBy(() -> features.check(PLAIN, 2, RGB))
          .withMessageContainingAll("[2, 3, 2, 2]", "pool or flatten");
    }
  }

  @Test
  void extract_ofGreyByAColorModel_repeatsIt() throws IOException {
    assertThat(values(means(OPEN, 3, 1, 2), new byte[] {0, 51}, new ImageShape(1, 2, 1)))
        .containsExactly(new float[] {-0.8f, -0.8f, -0.8f}, within(1e-6f));
  }

  @Test
  void extract_ofColorByAGreyModel_takesTheLuma() throws IOException {
    byte[] pixel = {(byte) 255, 51, 0};

    assertThat(values(means(OPEN, 1, 1, 1), pixel, new ImageShape(1, 1, 3)))
        .containsExactly(new float[] {2 * (0.299f + 0.587f * 0.2f) - 1}, within(1e-6f));
  }

  @Test
  void extract_ofASmallerImage_enlargesItBilinearly() throws IOException {
    byte[] columns = {0, (byte) 255, 0, (byte) 255};

    assertThat(values(flat(OPEN, 1, 2, 4), columns, new ImageShape(2, 2, 1)))
        .containsExactly(new float[] {-1, -0.5f, 0.5f, 1, -1, -0.5f, 0.5f, 1}, within(1e-6f));
  }

  @Test
  void extract_ofALargerImage_shrinksItBilinearly() throws IOException {
    byte[] rows = {0, 51, 102, (byte) 153}; // Of one column: the centers fall between two.

    assertThat(values(flat(OPEN, 1, 2, 1), rows, new ImageShape(4, 1, 1)))
        .containsExactly(new float[] {-0.8f, 0}, within(1e-6f));
  }

  @Test
  void extract_byAModelOfAFixedBatch_fillsTheLastOneUp() throws IOException {
    byte[] pixels = {0, 51, 102, (byte) 153, (byte) 204};

    Matrix features = extract(flat(2, 1, 1, 1), pixels, 5, new ImageShape(1, 1, 1)).values();

    assertThat(features.rows()).isEqualTo(5);
    assertThat(features.values())
        .containsExactly(new float[] {-1, -0.6f, -0.2f, 0.2f, 0.6f}, within(1e-6f));
  }

  @Test
  void extract_ofImagesTooLargeForOneRun_runsThemInParts() throws IOException {
    ImageShape large = new ImageShape(1024, 2048, 1); // Two in 16 MiB.
    byte[] pixels = new byte[3 * large.values()];
    Arrays.fill(pixels, large.values(), 2 * large.values(), (byte) 51);
    Arrays.fill(pixels, 2 * large.values(), 3 * large.values(), (byte) 102);

    Matrix features = extract(means(OPEN, 1, OPEN, OPEN), pixels, 3, large).values();

    assertThat(features.rows()).isEqualTo(3);
    assertThat(features.values()).containsExactly(new float[] {-1, -0.6f, -0.2f}, within(0.01f));
  }

  @Test
  void open_ofSeveralOutputs_takesTheFirstOfFeatures() throws IOException {
    ModelProto.Builder model = flat(OPEN, 1, 2, 2);
    GraphProto.Builder graph = model.getGraphBuilder();
    ValueInfoProto features = graph.getOutput(0);
    graph
        .addNode(node("Neg", "image", "map"))
        .clearOutput()
        .addOutput(info("map", DataType.FLOAT, OPEN, 1, 2, 2))
        .addOutput(features);

    assertThat(values(model, new byte[] {0, 0, 0, 0}, new ImageShape(2, 2, 1)))
        .containsExactly(-1, -1, -1, -1);
  }

  @Test
  void name_isTheFile() throws IOException {
    try (OnnxFeatures features = OnnxFeatures.open(write(means(OPEN, 3, 2, 2)), "")) {
      assertThat(features.name()).isEqualTo("model.onnx");
      assertThat(features.accuracy()).isEmpty();
    }
  }

  @Test
  void open_ofInputsThatAreNoImage_saysWhatTheyAre() {
    ModelProto.Builder doubles = flat(OPEN, 3, 2, 2);
    doubles.getGraphBuilder().setInput(0, info("image", DataType.DOUBLE, OPEN, 3, 2, 2));
    doubles.getGraphBuilder().setOutput(0, info("features", DataType.DOUBLE, OPEN, 12));
    assertRefused(
        doubles, "'image' of DOUBLE [-1, 3, 2, 2]; expected one input, float (N, C, H, W)");

    ModelProto.Builder two = means(OPEN, 3, 2, 2);
    two.getGraphBuilder().addInput(info("z", DataType.FLOAT, OPEN, 8));
    assertRefused(two, "'image' of FLOAT [-1, 3, 2, 2] and 'z' of FLOAT [-1, 8]; expected one");

    assertRefused(means(OPEN, 4, 2, 2), "with C 1 or 3");
  }

  @Test
  void open_withoutAnOutputOfFeatures_saysWhatThereIs() {
    ModelProto.Builder model = means(OPEN, 3, 2, 2);
    model
        .getGraphBuilder()
        .clearNode()
        .addNode(node("Neg", "image", "features"))
        .setOutput(0, info("features", DataType.FLOAT, OPEN, 3, 2, 2));

    assertRefused(model, "'features' of FLOAT [-1, 3, 2, 2]; expected features");
  }

  @Test
  void open_ofAnUnknownRange_saysWhichThereAre() {
    ModelProto.Builder model = means(OPEN, 3, 2, 2);
    model.addMetadataProps(
        StringStringEntryProto.newBuilder().setKey("normalisation").setValue("zscore"));

    assertRefused(model, "normalisation 'zscore'; expected [-1,1], [0,1], [0,255], imagenet");
  }

  @Test
  void open_ofNoModel_namesTheFile() throws IOException {
    Path noise = folder.resolve("noise.onnx");
    Files.write(noise, "no model".getBytes(StandardCharsets.UTF_8));

    assertThatIOException()
        .isThrownBy(() -> OnnxFeatures.open(noise, ""))
        .withMessageContaining(noise + ": ");
    assertThatIOException()
        .isThrownBy(() -> OnnxFeatures.open(folder.resolve("absent.onnx"), ""))
        .withMessageContaining("absent.onnx: it does not exist");
  }

  @Test
  void extract_ofFeaturesThatAreNotFinite_refuses() {
    ModelProto.Builder model = means(OPEN, 3, 2, 2);
    model
        .getGraphBuilder()
        .clearNode()
        .addNode(node("GlobalAveragePool", "image", "means"))
        .addNode(node("Log", "means", "features")); // Of -1 at the least.

    assertThatIOException()
        .isThrownBy(() -> extract(model, PLAIN, 2, RGB))
        .withMessageContaining("model.onnx: it returns a feature of NaN");
  }

  @Test
  void open_ofAGraphThatMayNeverEnd_isRefused() throws IOException {
    for (String operator : new String[] {"Loop", "If", "Scan", "SequenceMap", "SplitToSequence"}) {
      ModelProto.Builder model = means(OPEN, 3, 2, 2);
      model.getGraphBuilder().addNode(0, node(operator, "image", "other"));
      assertRefused(model, "it has the operator '" + operator + "'; expected a feed-forward graph");
    }
    ModelProto.Builder subgraph = means(OPEN, 3, 2, 2);
    subgraph
        .getGraphBuilder()
        .getNodeBuilder(0)
        .addAttribute(AttributeProto.newBuilder().setName("body").setG(subgraph.getGraph()));
    assertRefused(subgraph, "subgraph");
    ModelProto.Builder longName = means(OPEN, 3, 2, 2);
    longName.getGraphBuilder().addNode(0, node("x".repeat(101), "image", "other"));
    assertRefused(longName, "an operator with a name of 101 bytes; expected at most 100");
    assertRefused(
        means(OPEN, 3, 2, 2).addFunctions(FunctionProto.newBuilder().setName("f")), "functions");
  }

  @Test
  void open_ofWeightsInAnotherFile_isRefused() {
    ModelProto.Builder model = means(OPEN, 3, 2, 2);
    model
        .getGraphBuilder()
        .addInitializerBuilder()
        .setName("weights")
        .setDataType(DataType.FLOAT.getNumber())
        .addDims(1)
        .setDataLocation(TensorProto.DataLocation.EXTERNAL)
        .addExternalData(
            StringStringEntryProto.newBuilder().setKey("location").setValue("../secret"));

    assertRefused(model, "external data");
  }

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void extract_byAModelThatTakesHours_endsAtTheLimit() throws IOException {
    try (OnnxFeatures features = OnnxFeatures.open(write(endless()), "", Duration.ofMillis(1))) {
      assertThatIOException()
          .isThrownBy(() -> features.extract(PLAIN, 2, RGB))
          .withMessageContainingAll("model.onnx: it ran for more than", "2 images");
    }
  }

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void extract_onAnInterruptedThread_ends() throws IOException {
    try (OnnxFeatures features = OnnxFeatures.open(write(endless()), "")) {
      Thread.currentThread().interrupt();
      assertThatExceptionOfType(InterruptedIOException.class)
          .isThrownBy(() -> features.extract(PLAIN, 2, RGB));
      assertThat(Thread.interrupted()).as("the thread stays interrupted").isTrue();
    }
  }

  /** The means, times what takes hours to compute and depends on no input. */
  public static ModelProto.Builder endless() {
    ModelProto.Builder model = means(OPEN, 3, 2, 2);
    GraphProto.Builder graph = model.getGraphBuilder();
    graph
        .addInitializerBuilder()
        .setName("shape")
        .setDataType(DataType.INT64.getNumber())
        .addDims(2)
        .addAllInt64Data(List.of(2000L, 2000L));
    graph.setNode(0, node("GlobalAveragePool", "image", "means"));
    graph.addNode(node("ConstantOfShape", "shape", "product0"));
    for (int i = 0; i < PRODUCTS; i++) {
      NodeProto product = node("MatMul", "product" + i, "product" + (i + 1));
      graph.addNode(product.toBuilder().addInput("product" + i));
    }
    graph.addNode(node("ReduceMean", "product" + PRODUCTS, "one"));
    graph.addNode(node("Mul", "means", "features").toBuilder().addInput("one"));
    return model;
  }

  private void assertRefused(ModelProto.Builder model, String message) {
    assertThatIOException()
        .isThrownBy(() -> OnnxFeatures.open(write(model), "").close())
        .withMessageContaining(folder.resolve("model.onnx") + ": ")
        .withMessageContaining(message);
  }

  private float[] values(ModelProto.Builder model, byte[] image, ImageShape shape)
      throws IOException {
    return extract(model, image, 1, shape).values().values();
  }

  private Features extract(ModelProto.Builder model, byte[] pixels, int n, ImageShape shape)
      throws IOException {
    try (OnnxFeatures features = OnnxFeatures.open(write(model), "")) {
      return features.extract(pixels, n, shape);
    }
  }

  private Path write(ModelProto.Builder model) throws IOException {
    Path file = folder.resolve("model.onnx");
    Files.write(file, model.build().toByteArray());
    return file;
  }

  /** Each channel's mean: (N, C, 1, 1). */
  private static ModelProto.Builder means(int n, int c, int h, int w) {
    return model(
        node("GlobalAveragePool", "image", "features"),
        info("image", DataType.FLOAT, n, c, h, w),
        info("features", DataType.FLOAT, n, c, 1, 1));
  }

  /** Every pixel: (N, C H W). */
  private static ModelProto.Builder flat(int n, int c, int h, int w) {
    return model(
        node("Flatten", "image", "features"),
        info("image", DataType.FLOAT, n, c, h, w),
        info("features", DataType.FLOAT, n, c * h * w));
  }

  /** Every value as float, of images with the channels last: (N, H W C). */
  private static ModelProto.Builder flatLast(DataType type, int n, int h, int w, int c) {
    ModelProto.Builder model =
        model(
            node("Flatten", "floats", "features"),
            info("image", type, n, h, w, c),
            info("features", DataType.FLOAT, n, OPEN));
    model
        .getGraphBuilder()
        .addNode(
            0,
            node("Cast", "image", "floats").toBuilder()
                .addAttribute(
                    AttributeProto.newBuilder()
                        .setName("to")
                        .setType(AttributeProto.AttributeType.INT)
                        .setI(DataType.FLOAT.getNumber())));
    return model;
  }

  private static ModelProto.Builder model(
      NodeProto node, ValueInfoProto input, ValueInfoProto output) {
    return ModelProto.newBuilder()
        .setIrVersion(8)
        .addOpsetImport(OperatorSetIdProto.newBuilder().setDomain("").setVersion(17))
        .setGraph(
            GraphProto.newBuilder()
                .setName("features")
                .addNode(node)
                .addInput(input)
                .addOutput(output));
  }

  private static NodeProto node(String operator, String input, String output) {
    return NodeProto.newBuilder().setOpType(operator).addInput(input).addOutput(output).build();
  }

  private static ValueInfoProto info(String name, DataType type, int... dims) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (int i = 0; i < dims.length; i++) {
      if (dims[i] == OPEN) {
        shape.addDimBuilder().setDimParam("open" + i);
      } else {
        shape.addDimBuilder().setDimValue(dims[i]);
      }
    }
    TypeProto.Tensor.Builder tensor =
        TypeProto.Tensor.newBuilder().setElemType(type.getNumber()).setShape(shape);
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setType(TypeProto.newBuilder().setTensorType(tensor))
        .build();
  }
}
