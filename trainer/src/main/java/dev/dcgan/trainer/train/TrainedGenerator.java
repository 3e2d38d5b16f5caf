package dev.dcgan.trainer.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.trainer.torch.HostCopies;
import java.io.IOException;

/**
 * The generator of a checkpoint, with its averaged weights where it has any, on the CPU, for
 * inference. Not thread-safe; holds native memory.
 */
public final class TrainedGenerator implements AutoCloseable {

  private final NDManager manager;
  private final Generator generator;
  private final int latentSize;

  /**
   * Restores the generator.
   *
   * @throws IOException the checkpoint's tensors do not fit its architecture
   */
  public TrainedGenerator(Checkpoint checkpoint) throws IOException {
    latentSize = checkpoint.architecture().latentSize();
    manager = NDManager.newBaseManager(Device.cpu());
    try {
      generator = new Generator(manager, checkpoint.architecture(), 0);
      Tensors.restorePublished(checkpoint.tensors(), generator);
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  /** The weights as plain numbers. */
  public GeneratorWeights weights() {
    return generator.weights();
  }

  /** Latents (n, latentSize) to images (n, channels, height, width) in [-1, 1], both row-major. */
  public float[] images(float[] latents, int n) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray z = scope.create(latents, new Shape(n, latentSize, 1, 1));
      return HostCopies.floats(generator.forward(z));
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
