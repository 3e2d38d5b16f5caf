package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.dcgan.latent.Labels;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;

/**
 * G: maps latents (n, latentSize, 1, 1), N(0, 1), to images (n, channels, height, width), [-1, 1].
 *
 * <p>With classes its input is (n, latentSize + {@link Architecture#EMBEDDING}, 1, 1): the latents,
 * each followed by the learned embedding of the image's class.
 */
public final class Generator extends Network {

  /** The name of {@link #embeddingFunction}. */
  public static final String WITH_CLASS = "with_class";

  private static final String EMBEDDING = "Embedding";
  private static final String EMBEDDING_NAME = "00" + EMBEDDING + "_weight";
  private static final float EMBEDDING_DEVIATION = 1; // as latents have

  // With a factor of 1 the class outweighs z from the first steps on: all images of a class become
  // alike, as measured (README). A power of two, so that multiplication is exact.
  private static final float EMBEDDING_SCALE = 0.125f;

  private final Architecture architecture;
  private final String embedding; // empty without classes
  private final List<Function> layerFunctions = new ArrayList<>();

  /**
   * Creates a generator with weights initialized from {@code seed}, with the fastest algorithms.
   */
  public Generator(NDManager manager, Architecture architecture, long seed) {
    this(manager, architecture, seed, false);
  }

  /**
   * As above.
   *
   * @param nativeOperators whether to use PyTorch's operators only, as it always does on a GPU; the
   *     results differ by rounding only
   */
  public Generator(
      NDManager manager, Architecture architecture, long seed, boolean nativeOperators) {
    super(manager);
    this.architecture = architecture;
    embedding =
        architecture.classes() == 0
            ? ""
            : addEmbedding(EMBEDDING, architecture.classes(), Architecture.EMBEDDING);
    int side = 1;
    for (Layer layer : architecture.generator()) {
      addLayer(manager, layer, side, nativeOperators || manager.getDevice().isGpu());
      side = layer.outputSide(side);
    }
    initialize(seed, architecture.gammaMean(), EMBEDDING_DEVIATION);
  }

  private void addLayer(NDManager manager, Layer layer, int side, boolean nativeOperators) {
    ConvTransposeAlgorithm algorithm =
        nativeOperators
            ? ConvTransposeAlgorithm.NATIVE
            : ConvTransposeAlgorithm.fastestOnCpu(layer, side);
    NDList constants = algorithm.constants(manager, layer, side);
    Function function = algorithm.function("layer" + layerFunctions.size(), layer, side);
    layerFunctions.add(function);
    List<String> arguments = new ArrayList<>(List.of("x", "%s", "%s"));
    arguments.addAll(addConstants(constants));
    addConvolution(
        "ConvTranspose2d",
        new Shape(layer.in(), layer.out(), layer.kernel(), layer.kernel()),
        layer.out(),
        "(self).%s(%s)".formatted(function.name(), String.join(", ", arguments)));
    if (layer.batchNorm()) {
      addBatchNorm(layer.out());
      // In place on a CPU: batch normalization does not need its result for the gradient.
      addActivation(nativeOperators ? "torch.relu(x)" : "torch.relu_(x)");
    } else {
      addActivation("torch.tanh(x)");
    }
  }

  @Override
  List<Function> layerFunctions() {
    return layerFunctions;
  }

  /**
   * The function {@code with_class(z, label, weights)} of a conditional generator: appends to each
   * latent of z (n, latentSize, 1, 1) the scaled embedding of its label, int64 (n).
   *
   * @return a list of it; an empty one without classes
   */
  public List<Function> embeddingFunction() {
    if (architecture.classes() == 0) {
      return List.of();
    }
    String body =
        """
        embedded = torch.mul(torch.embedding(%s, label), %s)
        return torch.cat([z, torch.reshape(embedded, [-1, %d, 1, 1])], 1)"""
            .formatted(embedding, (double) EMBEDDING_SCALE, Architecture.EMBEDDING);
    return List.of(
        new Function(
            WITH_CLASS, List.of("z: Tensor", "label: Tensor", "weights: List[Tensor]"), body));
  }

  /**
   * Generates images in evaluation mode.
   *
   * @param scope the manager of the result
   * @param latents (n, latentSize), row-major
   * @param labels (n): labels or {@linkplain Labels#mixture mixtures}; empty without classes
   * @return (n, channels, height, width), [-1, 1]
   */
  public NDArray generate(NDManager scope, float[] latents, long[] labels, int n) {
    int size = architecture.generator().get(0).in();
    float[] input = architecture.classes() == 0 ? latents : embedding().append(latents, labels, n);
    return forward(scope.create(input, new Shape(n, size, 1, 1)));
  }

  /** The scaled embeddings. */
  private ClassEmbedding embedding() {
    NDArray array = Objects.requireNonNull(parameters().get(EMBEDDING_NAME)).getArray();
    float[] values = HostCopies.floats(array);
    for (int i = 0; i < values.length; i++) {
      values[i] *= EMBEDDING_SCALE;
    }
    return new ClassEmbedding(architecture.classes(), Architecture.EMBEDDING, values);
  }

  /**
   * The weights on the heap, for export. Each layer is copied when the list returns it, so that a
   * large generator is never in the heap as a whole.
   */
  public GeneratorWeights weights() {
    return new GeneratorWeights(
        architecture.name(),
        architecture.latentSize(),
        architecture.shape(),
        architecture.classes() == 0 ? null : embedding(),
        new AbstractList<>() {
          @Override
          public GeneratorWeights.Layer get(int index) {
            return layer(index);
          }

          @Override
          public int size() {
            return architecture.generator().size();
          }
        });
  }

  private GeneratorWeights.Layer layer(int index) {
    List<Layer> layers = architecture.generator();
    int before = layers.subList(0, index).stream().mapToInt(Layer::arrays).sum();
    before += architecture.classes() == 0 ? 0 : 1; // the embedding
    Iterator<Parameter> parameters = parameters().values().stream().skip(before).iterator();
    Layer layer = layers.get(index);
    return new GeneratorWeights.Layer(
        layer.in(),
        layer.out(),
        layer.kernel(),
        layer.stride(),
        layer.padding(),
        values(parameters.next(), Parameter.Type.WEIGHT),
        values(parameters.next(), Parameter.Type.BIAS),
        layer.batchNorm() ? batchNorm(parameters) : null);
  }

  private static GeneratorWeights.BatchNorm batchNorm(Iterator<Parameter> parameters) {
    return new GeneratorWeights.BatchNorm(
        values(parameters.next(), Parameter.Type.GAMMA),
        values(parameters.next(), Parameter.Type.BETA),
        values(parameters.next(), Parameter.Type.RUNNING_MEAN),
        values(parameters.next(), Parameter.Type.RUNNING_VAR),
        EPSILON);
  }

  private static float[] values(Parameter parameter, Parameter.Type expected) {
    if (parameter.getType() != expected) {
      throw new IllegalStateException(
          "parameter of type " + parameter.getType() + "; expected " + expected);
    }
    return HostCopies.floats(parameter.getArray());
  }
}
