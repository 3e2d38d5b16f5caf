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
 * The generator of a checkpoint for inference on the CPU, with the EMA weights if there are any.
 * Not thread-safe; it holds native memory.
 */
public final class TrainedGenerator implements AutoCloseable {

  private final NDManager manager;
  private final Generator generator;
  private final int latentSize;

  /**
   * Restores the generator.
   *
   * @throws IOException if the checkpoint's tensors do not match its architecture
   */
  public TrainedGenerator(Checkpoint checkpoint) throws IOException {
    latentSize = checkpoint.architecture().latentSize();
    manager = NDManager.newBaseManager(Device.cpu());
    try {
      generator = new Generator(manager, checkpoint.architecture(), 0);
      CheckpointTensors.restorePublished(checkpoint.tensors(), generator);
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  /** The weights for export. */
  public GeneratorWeights weights() {
    return generator.weights();
  }

  /**
   * Generates images (n, channels, height, width), [-1, 1], from latents (n, latentSize), both
   * row-major.
   */
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
