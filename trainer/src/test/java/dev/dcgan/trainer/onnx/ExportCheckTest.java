package dev.dcgan.trainer.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.trainer.gan.ImageGenerator;
import dev.dcgan.v1.GoldenVector;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class ExportCheckTest {

  static Stream<LoopGenerator> generators() {
    return Stream.of(LoopGenerator.grey(), LoopGenerator.color());
  }

  @ParameterizedTest
  @MethodSource("generators")
  void check_ofAGeneratorAgainstPlainLoops_finishesWithinTolerance(LoopGenerator generator)
      throws IOException {
    ExportCheck.Result result = check(onnx(generator), generator.weights(), generator);

    assertThat(result.images()).isEqualTo(32);
    assertThat(result.maxDifference()).isPositive().isLessThan(1e-5f);
    assertThat(result.maxPixelDifference()).isLessThanOrEqualTo(1);
  }

  @Test
  void check_givesGoldenVectors_thatFollowTheLatentLaw() throws IOException {
    LoopGenerator generator = LoopGenerator.grey();

    List<GoldenVector> golden = check(onnx(generator), generator.weights(), generator).golden();

    assertThat(golden).extracting(GoldenVector::getSeed).contains(0L, -1L, Long.MIN_VALUE + 1);
    for (GoldenVector vector : golden) {
      float[] z = Latents.of(vector.getSeed(), vector.getIndex(), 8);
      assertThat(vector.getLatent().toByteArray()).isEqualTo(ModelBundle.littleEndian(z).array());
      float[] image = generator.generate(z, new long[0], 1);
      byte[] pixels = vector.getPixels().toByteArray();
      assertThat(pixels).hasSize(28 * 28);
      for (int i = 0; i < pixels.length; i++) {
        assertThat((pixels[i] & 0xFF) - (image[i] + 1) * 127.5f).isBetween(-0.51f, 0.51f);
      }
    }
  }

  @Test
  void check_findsPixelsRoundedAndChannelsLast() throws IOException {
    // Whatever the latent, the channels are 0.5039, 1 and -1.
    Layer layer = new Layer(1, 3, 2, 1, 0, new float[12], new float[] {0.5546f, 20, -20}, null);
    GeneratorWeights weights =
        new GeneratorWeights("flat", 1, new ImageShape(2, 2, 3), null, List.of(layer));
    LoopGenerator generator = new LoopGenerator(weights);

    ExportCheck.Result result = check(onnx(generator), weights, generator);

    assertThat(result.maxPixelDifference()).isZero();
    byte[] rgb = {(byte) 192, (byte) 255, 0}; // 1.5039 * 127.5 = 191.75
    for (GoldenVector vector : result.golden()) {
      for (int pixel = 0; pixel < 4; pixel++) {
        assertThat(vector.getPixels().substring(3 * pixel, 3 * pixel + 3).toByteArray())
            .isEqualTo(rgb);
      }
    }
  }

  /** The generator gets mixtures too. */
  @Test
  void check_ofAConditionalGenerator_passesWithGoldenLabels() throws IOException {
    for (int classes : new int[] {2, 10, 1000}) {
      LoopGenerator generator = LoopGenerator.conditional(classes);
      ImageClasses named = classes(classes);
      List<Long> checked = new ArrayList<>();

      ExportCheck.Result result =
          check(
              onnx(generator),
              named,
              generator.weights(),
              (latents, labels, n) -> {
                Arrays.stream(labels).forEach(checked::add);
                return generator.generate(latents, labels, n);
              });

      assertThat(result.maxDifference()).isPositive().isLessThan(1e-5f);
      assertThat(checked)
          .hasSize(32)
          .anyMatch(label -> label < classes)
          .anyMatch(label -> label / classes / classes > 60_000);
      for (GoldenVector vector : result.golden()) {
        assertThat(vector.getLabel()).isEqualTo(named.draw(vector.getSeed(), vector.getIndex()));
      }
    }
  }

  @Test
  void check_ofOtherMixtures_refuses() {
    LoopGenerator generator = LoopGenerator.conditional(10);
    ImageGenerator<float[]> unmixed =
        (latents, labels, n) ->
            generator.generate(
                latents, Arrays.stream(labels).map(label -> label % 10).toArray(), n);

    assertThatIOException()
        .isThrownBy(
            () -> check(onnx(generator), classes(10), generator.weights(), unmixed))
        .withMessageContaining("differs from its network");
  }

  /** Without a mixture the embedding is exact, and so is the image. */
  @Test
  void label_isTheMixtureOfItselfWithAnyOther() throws Exception {
    byte[] onnx = onnx(LoopGenerator.conditional(3));
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    float[] latents = new float[3 * 8];
    try (OrtSession session = environment.createSession(onnx);
        GeneratorInputs inputs =
            GeneratorInputs.of(environment, latents, new long[] {1, 1 + 3 * 2, 1 + 3 * 1}, 3);
        OrtSession.Result result = session.run(inputs.tensors())) {
      float[][][][] images = (float[][][][]) result.get("image").orElseThrow().getValue();

      assertThat(images[1]).isDeepEqualTo(images[0]);
      assertThat(images[2]).isDeepEqualTo(images[0]);
    }
  }

  @Test
  void check_againstAnotherNetwork_namesBothDifferences() {
    LoopGenerator generator = LoopGenerator.grey();
    ImageGenerator<float[]> off =
        (latents, labels, n) -> {
          float[] images = generator.generate(latents, labels, n);
          images[images.length - 1] -= 0.1f;
          return images;
        };

    assertThatIOException()
        .isThrownBy(() -> check(onnx(generator), generator.weights(), off))
        .withMessageContainingAll("0.100 in [-1, 1]", "grey levels", "at most 1e-04 and 1");
  }

  @Test
  void check_againstANetworkOfNaN_refuses() {
    LoopGenerator generator = LoopGenerator.grey();
    ImageGenerator<float[]> broken =
        (latents, labels, n) -> {
          float[] images = generator.generate(latents, labels, n);
          images[5] = Float.NaN;
          return images;
        };

    assertThatIOException()
        .isThrownBy(() -> check(onnx(generator), generator.weights(), broken))
        .withMessageContaining("NaN");
  }

  @Test
  void check_againstANetworkOfAnotherSize_saysWhatItMade() {
    LoopGenerator generator = LoopGenerator.grey();

    assertThatIOException()
        .isThrownBy(
            () ->
                check(
                    onnx(generator),
                    generator.weights(),
                    (latents, labels, n) -> new float[n]))
        .withMessageContainingAll("32 values for 32 images", "784 per image");
  }

  @Test
  void check_ofAModelWhoseImagesDependOnTheirBatch_refuses() throws IOException {
    LoopGenerator generator = LoopGenerator.grey();
    ImageGenerator<float[]> mixing =
        (latents, labels, n) -> generator.generate(lessTheirMean(latents, n), labels, n);

    assertThatIOException()
        .isThrownBy(() -> check(mixing(onnx(generator)), generator.weights(), mixing))
        .withMessageContaining("in batches of 1 and of 32");
  }

  @Test
  void check_ofAModelOfAnotherShape_namesTheOutput() {
    LoopGenerator generator = LoopGenerator.grey();

    assertThatIOException()
        .isThrownBy(
            () -> ExportCheck.check(onnx(generator), new ImageShape(14, 56, 1), 8, null, generator))
        .withMessageContainingAll("output 'image'", "[32, 1, 14, 56]");
  }

  @Test
  void check_ofNoModel_saysThatItCannotRun() {
    LoopGenerator generator = LoopGenerator.grey();
    byte[] noise = "no model".getBytes(StandardCharsets.UTF_8);

    assertThatIOException()
        .isThrownBy(() -> check(noise, generator.weights(), generator))
        .withMessageStartingWith("cannot run the exported model");
  }

  private static byte[] onnx(LoopGenerator generator) {
    return GeneratorExporter.toOnnx(generator.weights(), Map.of());
  }

  private static ImageClasses classes(int count) {
    return new ImageClasses(
        IntStream.range(0, count).mapToObj(Integer::toString).toList(),
        IntStream.range(0, count).mapToObj(i -> i + 1L).toList());
  }

  private static ExportCheck.Result check(
      byte[] onnx, GeneratorWeights weights, ImageGenerator<float[]> network) throws IOException {
    return check(onnx, null, weights, network);
  }

  private static ExportCheck.Result check(
      byte[] onnx,
      @Nullable ImageClasses classes,
      GeneratorWeights weights,
      ImageGenerator<float[]> network)
      throws IOException {
    return ExportCheck.check(onnx, weights.shape(), weights.latentSize(), classes, network);
  }

  /** Lets the first layer see the latents less their mean over the batch. */
  private static byte[] mixing(byte[] onnx) throws IOException {
    ModelProto.Builder model = ModelProto.parseFrom(onnx).toBuilder();
    GraphProto.Builder graph = model.getGraphBuilder();
    NodeProto mean =
        NodeProto.newBuilder()
            .setOpType("ReduceMean")
            .addInput("z4d")
            .addOutput("mean")
            .addAttribute(
                AttributeProto.newBuilder()
                    .setName("axes")
                    .setType(AttributeProto.AttributeType.INTS)
                    .addInts(0))
            .build();
    NodeProto less =
        NodeProto.newBuilder()
            .setOpType("Sub")
            .addInput("z4d")
            .addInput("mean")
            .addOutput("mixed")
            .build();
    NodeProto convolution = graph.getNode(1).toBuilder().setInput(0, "mixed").build();
    graph.setNode(1, convolution).addNode(1, less).addNode(1, mean);
    return model.build().toByteArray();
  }

  private static float[] lessTheirMean(float[] latents, int n) {
    int size = latents.length / n;
    float[] mixed = Arrays.copyOf(latents, latents.length);
    for (int i = 0; i < size; i++) {
      double mean = 0;
      for (int image = 0; image < n; image++) {
        mean += (double) latents[image * size + i] / n;
      }
      for (int image = 0; image < n; image++) {
        mixed[image * size + i] -= (float) mean;
      }
    }
    return mixed;
  }
}
