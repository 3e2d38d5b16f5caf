package dev.dcgan.sampler.graph;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.trainer.config.Preset;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.ClassEmbedding;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.gan.GeneratorWeights.BatchNorm;
import dev.dcgan.trainer.gan.GeneratorWeights.Layer;
import dev.dcgan.trainer.onnx.GeneratorExporter;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The trainer does not know the sampler's check of a graph, so this test publishes nothing but
 * checks that it admits all that the trainer exports: each preset in each size, with its own width.
 */
class ExportedGraphsTest {

  private static final int MAX_BATCH = 256;
  // Widths may be four times those of the presets: at least one image of those fits too.
  private static final int WIDEST = 4;

  static Stream<Architecture> architectures() {
    return Stream.of(Preset.values())
        .flatMap(preset -> sizes(preset).map(size -> architecture(preset, size)))
        .flatMap(architecture -> Stream.of(architecture, architecture.withClasses(10)));
  }

  private static Stream<Integer> sizes(Preset preset) {
    return preset.label.startsWith("mnist")
        ? Stream.of(Architecture.MNIST_SIZE)
        : Architecture.PAPER_SIZES.stream();
  }

  private static Architecture architecture(Preset preset, int size) {
    int channels = size == Architecture.MNIST_SIZE ? 1 : 3;
    return preset.architecture(size, channels, preset.latent, preset.width);
  }

  @ParameterizedTest
  @MethodSource("architectures")
  void exportedGraph_isAdmitted_withDefaultLimits(Architecture architecture) throws IOException {
    byte[] model = GeneratorExporter.toOnnx(weights(architecture), Map.of());

    ModelGraph graph = ModelGraph.read(Path.of("model.onnx"), new ByteArrayInputStream(model));

    assertThat(graph.largestBatch(1, MAX_BATCH, RuntimeSettings.DEFAULT_ACTIVATION_BYTES))
        .isGreaterThanOrEqualTo(WIDEST);
  }

  /** Without training: values do not matter to the graph. */
  private static GeneratorWeights weights(Architecture architecture) {
    int classes = architecture.classes();
    return new GeneratorWeights(
        architecture.name(),
        architecture.latentSize(),
        architecture.shape(),
        classes == 0
            ? null
            : new ClassEmbedding(
                classes, Architecture.EMBEDDING, new float[classes * Architecture.EMBEDDING]),
        architecture.generator().stream().map(ExportedGraphsTest::layer).toList());
  }

  private static Layer layer(Architecture.Layer layer) {
    float[] values = new float[layer.out()];
    float[] ones = new float[layer.out()];
    Arrays.fill(ones, 1);
    return new Layer(
        layer.in(),
        layer.out(),
        layer.kernel(),
        layer.stride(),
        layer.padding(),
        new float[layer.in() * layer.out() * layer.kernel() * layer.kernel()],
        values,
        layer.batchNorm() ? new BatchNorm(ones, values, values, ones, 1e-5f) : null);
  }
}
