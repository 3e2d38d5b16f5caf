package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * G: maps latents (n, latentSize, 1, 1), N(0, 1), to images (n, channels, height, width), [-1, 1].
 */
public final class Generator extends Network {

  private final Architecture architecture;
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
    int side = 1;
    for (Layer layer : architecture.generator()) {
      addLayer(manager, layer, side, nativeOperators || manager.getDevice().isGpu());
      side = layer.outputSide(side);
    }
    initialize(seed, architecture.gammaMean());
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
      addActivation("torch.relu(x)");
    } else {
      addActivation("torch.tanh(x)");
    }
  }

  @Override
  List<Function> layerFunctions() {
    return layerFunctions;
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
