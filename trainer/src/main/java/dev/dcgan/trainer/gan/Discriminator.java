package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.gan.Architecture.Layer;
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

  /** Creates a discriminator with weights initialized from {@code seed}. */
  public Discriminator(NDManager manager, Architecture architecture, long seed) {
    super(manager);
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
          "torch.conv2d(x, %%s, %%s, [%1$d, %1$d], [%2$d, %2$d], [1, 1], 1)"
              .formatted(layer.stride(), layer.padding()));
      if (layer.batchNorm()) {
        addBatchNorm(layer.out());
      }
      if (i < layers.size() - 1) {
        addActivation("torch.leaky_relu(x, " + (double) NEGATIVE_SLOPE + ")");
      }
    }
    if (architecture.classes() > 0) {
      addStatement("x = torch.add(x, torch.reshape(projected, [-1, 1, 1, 1]))");
    }
    initialize(seed, architecture.gammaMean(), PROJECTION_DEVIATION);
  }
}
