package dev.dcgan.trainer.net;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.nn.norm.BatchNorm;
import dev.dcgan.trainer.net.Architecture.Layer;
import java.util.List;

/** D: images (n, channels, height, width) in [-1, 1] to logits (n, 1, 1, 1), above 0 for "real". */
public final class Discriminator extends Network {

  private static final float LEAK = 0.2f;

  /** A discriminator with its first weights drawn from {@code seed}. */
  public Discriminator(NDManager manager, Architecture architecture, long seed) {
    super(
        manager,
        layers(architecture),
        new Shape(
            1,
            architecture.shape().channels(),
            architecture.shape().height(),
            architecture.shape().width()));
    initialize(seed, architecture.gammaMean());
  }

  private static SequentialBlock layers(Architecture architecture) {
    SequentialBlock block = new SequentialBlock();
    List<Layer> layers = architecture.discriminator();
    for (int i = 0; i < layers.size(); i++) {
      Layer layer = layers.get(i);
      block.add(
          Conv2d.builder()
              .setFilters(layer.out())
              .setKernelShape(new Shape(layer.kernel(), layer.kernel()))
              .optStride(new Shape(layer.stride(), layer.stride()))
              .optPadding(new Shape(layer.padding(), layer.padding()))
              .optBias(true)
              .build());
      if (layer.batchNorm()) {
        block.add(BatchNorm.builder().build());
      }
      if (i < layers.size() - 1) {
        block.add(Activation.leakyReluBlock(LEAK));
      }
    }
    return block;
  }
}
