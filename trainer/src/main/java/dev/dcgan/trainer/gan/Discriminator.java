package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;

/**
 * D: maps images (n, channels, height, width), [-1, 1], to logits (n, 1, 1, 1), > 0 for real.
 *
 * <p>With classes it has a second input, the labels, int64 (n), and a projection (Miyato and Koyama
 * 2018): the inner product of a learned vector of the class and the features before the last
 * convolution, summed over their positions, is added to the logit.
 */
public final class Discriminator extends Network {

  private static final float NEGATIVE_SLOPE = 0.2f;
  private static final float PROJECTION_DEVIATION = 0.02f;

  private final List<Function> layerFunctions = new ArrayList<>();

  /**
   * Creates a discriminator with weights initialized from {@code seed}, with the fastest
   * algorithms.
   */
  public Discriminator(NDManager manager, Architecture architecture, long seed) {
    this(manager, architecture, seed, false);
  }

  /**
   * As above.
   *
   * @param nativeOperators whether to use PyTorch's operators only, as it always does on a GPU; the
   *     results differ by rounding only
   */
  public Discriminator(
      NDManager manager, Architecture architecture, long seed, boolean nativeOperators) {
    super(manager);
    boolean fast = !nativeOperators && !manager.getDevice().isGpu();
    if (fast) {
      addStatement(channelsLast(architecture.shape()));
    }
    int side = architecture.shape().width();
    List<Layer> layers = architecture.discriminator();
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      if (i == layers.size() - 1 && architecture.classes() > 0) {
        addInput("label");
        String projection =
            addEmbedding("Projection", architecture.classes(), architecture.features());
        addStatement(
            """
            vectors = torch.embedding(%s, label)
            projected = torch.sum(torch.mul(torch.sum(x, [2, 3]), vectors), [1])"""
                .formatted(projection));
      }
      addConvolution(
          "Conv2d",
          new Shape(layer.out(), layer.in(), layer.kernel(), layer.kernel()),
          layer.out(),
          convolution(manager, layer, side, fast));
      side = layer.convolvedSide(side);
      if (layer.batchNorm()) {
        addBatchNorm(layer.out());
      }
      if (i < layers.size() - 1) {
        // In place on a CPU: what is before it does not need its result for the gradient.
        String operator = fast ? "leaky_relu_" : "leaky_relu";
        addActivation("torch.%s(x, %s)".formatted(operator, (double) NEGATIVE_SLOPE));
      }
    }
    if (architecture.classes() > 0) {
      addStatement("x = torch.add(x, torch.reshape(projected, [-1, 1, 1, 1]))");
    }
    initialize(seed, architecture.gammaMean(), PROJECTION_DEVIATION);
  }

  /**
   * Convolutions keep this layout, in which oneDNN computes them faster, and batch normalization
   * too. Images of one channel are not copied: only the strides change.
   */
  private static String channelsLast(ImageShape shape) {
    return """
        x = torch.reshape(torch.permute(x, [0, 2, 3, 1]), [-1, %4$d])
        x = torch.permute(torch.reshape(x, [-1, %2$d, %3$d, %1$d]), [0, 3, 1, 2])"""
        .formatted(shape.channels(), shape.height(), shape.width(), shape.values());
  }

  /** An expression of x, with two {@code %s} for weight and bias. */
  private String convolution(NDManager manager, Layer layer, int side, boolean fast) {
    int outputSide = layer.convolvedSide(side);
    if (fast && outputSide == 1 && layer.padding() == 0) {
      return onePixel(layer);
    }
    return fast && StridedToomCook.pays(layer, outputSide)
        ? toomCook(manager, layer, side)
        : "torch.conv2d(x, %%s, %%s, [%1$d, %1$d], [%2$d, %2$d], [1, 1], 1)"
            .formatted(layer.stride(), layer.padding());
  }

  /** For an output of one pixel: a matrix product. */
  private String onePixel(Layer layer) {
    return call(
        List.of(),
        new NDList(),
        """
        x = torch.slice(torch.slice(x, 2, 0, %1$d), 3, 0, %1$d)
        pixels = torch.reshape(torch.permute(x, [0, 2, 3, 1]), [-1, %2$d])
        taps = torch.reshape(torch.permute(weight, [0, 2, 3, 1]), [%3$d, %2$d])
        y = torch.addmm(bias, pixels, torch.t(taps))
        return torch.reshape(y, [-1, %3$d, 1, 1])"""
            .formatted(layer.kernel(), layer.kernel() * layer.kernel() * layer.in(), layer.out()));
  }

  private String toomCook(NDManager manager, Layer layer, int side) {
    StridedToomCook algorithm = StridedToomCook.of(layer, layer.convolvedSide(side), side);
    return call(
        StridedToomCook.CONSTANTS, algorithm.constants(manager), algorithm.convolution(layer));
  }

  /** Adds a function of x, weight, bias and constants; returns a call of it. */
  private String call(List<String> names, NDList constants, String body) {
    List<String> parameters = new ArrayList<>(List.of("x", "weight", "bias"));
    parameters.addAll(names);
    Function function = Function.ofTensors("convolution" + layerFunctions.size(), parameters, body);
    layerFunctions.add(function);
    List<String> arguments = new ArrayList<>(List.of("x", "%s", "%s"));
    arguments.addAll(addConstants(constants));
    return "(self).%s(%s)".formatted(function.name(), String.join(", ", arguments));
  }

  @Override
  List<Function> layerFunctions() {
    return layerFunctions;
  }
}
