package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.gan.Architecture.Layer;
import java.util.List;

/** D: maps images (n, channels, height, width), [-1, 1], to logits (n, 1, 1, 1), > 0 for real. */
public final class Discriminator extends Network {

  private static final float NEGATIVE_SLOPE = 0.2f;

  /** Creates a discriminator with weights initialized from {@code seed}. */
  public Discriminator(NDManager manager, Architecture architecture, long seed) {
    super(manager);
    List<Layer> layers = architecture.discriminator();
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
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
    initialize(seed, architecture.gammaMean());
  }
}
