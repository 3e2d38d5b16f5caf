package dev.dcgan.trainer.gan;

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
          fast && StridedToomCook.pays(layer, layer.convolvedSide(side))
              ? toomCook(manager, layer, side)
              : "torch.conv2d(x, %%s, %%s, [%1$d, %1$d], [%2$d, %2$d], [1, 1], 1)"
                  .formatted(layer.stride(), layer.padding()));
      side = layer.convolvedSide(side);
      if (layer.batchNorm()) {
        addBatchNorm(layer.out());
      }
      if (i < layers.size() - 1) {
        String operator = fast && layer.batchNorm() ? "leaky_relu_" : "leaky_relu";
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

  private String toomCook(NDManager manager, Layer layer, int side) {
    StridedToomCook algorithm = StridedToomCook.of(layer, layer.convolvedSide(side), side);
    List<String> arguments = new ArrayList<>(List.of("x", "weight", "bias"));
    arguments.addAll(StridedToomCook.CONSTANTS);
    Function function =
        Function.ofTensors(
            "convolution" + layerFunctions.size(), arguments, algorithm.convolution(layer));
    layerFunctions.add(function);
    return "(self).%s(x, %%s, %%s, %s)"
        .formatted(function.name(), String.join(", ", addConstants(algorithm.constants(manager))));
  }

  @Override
  List<Function> layerFunctions() {
    return layerFunctions;
  }
}
