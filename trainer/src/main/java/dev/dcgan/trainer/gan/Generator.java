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

/** G: latents (n, latentSize, 1, 1) ~ N(0, 1) to images (n, channels, height, width) in [-1, 1]. */
public final class Generator extends Network {

  private final Architecture architecture;
  private final List<Function> layerFunctions = new ArrayList<>();

  /** A generator with its first weights drawn from {@code seed}, computed the fastest way. */
  public Generator(NDManager manager, Architecture architecture, long seed) {
    this(manager, architecture, seed, false);
  }

  /**
   * As above, or {@code plain}: by PyTorch's own operators throughout, which on a GPU is the
   * fastest way. The results differ by rounding alone.
   */
  public Generator(NDManager manager, Architecture architecture, long seed, boolean plain) {
    super(manager);
    this.architecture = architecture;
    int side = 1;
    for (Layer layer : architecture.generator()) {
      addLayer(manager, layer, side, plain || manager.getDevice().isGpu());
      side = layer.outputSide(side);
    }
    initialize(seed, architecture.gammaMean());
  }

  private void addLayer(NDManager manager, Layer layer, int side, boolean plain) {
    Formulation formulation = plain ? Formulation.PLAIN : Formulation.fastestOnCpu(layer, side);
    NDList constants = formulation.constants(manager, layer, side);
    Function function = formulation.function("layer" + layerFunctions.size(), layer, side);
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
   * The weights as plain numbers, for an exporter. Each layer is copied when it is asked for: a
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
          "parameter of type " + parameter.getType() + " where " + expected + " is expected");
    }
    return HostCopies.floats(parameter.getArray());
  }
}
