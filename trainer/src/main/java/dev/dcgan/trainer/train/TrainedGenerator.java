package dev.dcgan.trainer.train;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
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

  /**
   * Restores the generator.
   *
   * @throws IOException if the checkpoint's tensors do not match its architecture
   */
  public TrainedGenerator(Checkpoint checkpoint) throws IOException {
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
   *
   * @param labels (n), each the label of a class or a mixture of two; empty without classes
   */
  public float[] images(float[] latents, long[] labels, int n) {
    try (NDManager scope = manager.newSubManager()) {
      return HostCopies.floats(generator.generate(scope, latents, labels, n));
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
