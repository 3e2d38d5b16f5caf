package dev.dcgan.trainer.config;

import com.sun.management.OperatingSystemMXBean;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * A lower bound of the memory and disk that a training run needs.
 *
 * <p>Memory: every parameter with its gradient and Adam's two moments, batch normalization's
 * statistics, and the averaged generator if there is one; and the activations that the backward
 * pass of one step needs, for all images of a batch. Not counted: the libraries (about 0.4 GiB on a
 * CPU, as much on a GPU), the JVM's heap, workspaces of convolutions, and what an implementation
 * holds longer than necessary.
 *
 * @param title of the architecture, for messages
 * @param batchSize images in a batch
 * @param parameterBytes of parameters, gradients, moments and the average
 * @param activationBytes of a batch
 * @param checkpointBytes of a checkpoint's values
 */
public record ResourceEstimate(
    String title, int batchSize, long parameterBytes, long activationBytes, long checkpointBytes) {

  // Weight, gradient and two moments.
  private static final int COPIES_IN_MEMORY = 4;
  private static final int COPIES_IN_A_CHECKPOINT = 3;

  /** The estimate for one run. */
  public static ResourceEstimate of(Architecture architecture, Hyperparameters hyperparameters) {
    int batchSize = hyperparameters.batchSize();
    long classes = architecture.classes();
    long generator = learned(architecture.generator()) + classes * Architecture.EMBEDDING;
    long learned =
        generator + learned(architecture.discriminator()) + classes * architecture.features();
    long statistics =
        statistics(architecture.generator()) + statistics(architecture.discriminator());
    long average =
        hyperparameters.emaDecay() == 0 ? 0 : generator + statistics(architecture.generator());
    return new ResourceEstimate(
        architecture.title(),
        batchSize,
        Float.BYTES * (COPIES_IN_MEMORY * learned + statistics + average),
        Float.BYTES * activations(architecture) * batchSize,
        Float.BYTES * (COPIES_IN_A_CHECKPOINT * learned + statistics + average));
  }

  /** Trained parameters: kernels and biases, and batch normalization's scale and shift. */
  private static long learned(List<Layer> layers) {
    return layers.stream()
        .mapToLong(
            layer ->
                (long) layer.in() * layer.out() * layer.kernel() * layer.kernel()
                    + (layer.batchNorm() ? 3L : 1L) * layer.out())
        .sum();
  }

  /** The running means and variances. */
  private static long statistics(List<Layer> layers) {
    return layers.stream().filter(Layer::batchNorm).mapToLong(layer -> 2L * layer.out()).sum();
  }

  /** Values per image of the larger backward pass. */
  private static long activations(Architecture architecture) {
    long generator = 0;
    int side = 1;
    for (Layer layer : architecture.generator()) {
      side = layer.outputSide(side);
      generator += activations(layer, side);
    }
    long discriminator = 0;
    for (Layer layer : architecture.discriminator()) {
      side = (side + 2 * layer.padding() - layer.kernel()) / layer.stride() + 1;
      discriminator += activations(layer, side);
    }
    // The generator's update goes through both networks, the discriminator's has two batches.
    return discriminator + Math.max(generator, discriminator);
  }

  /** The inputs of batch normalization and of the activation function. */
  private static long activations(Layer layer, int side) {
    return (layer.batchNorm() ? 2L : 1L) * layer.out() * side * side;
  }

  /** The memory that the device needs at least. */
  public long memoryBytes() {
    return parameterBytes + activationBytes;
  }

  /**
   * Requires that the device's memory can hold the run. A device of unknown memory passes.
   *
   * @throws IOException the message has the needed and the available memory
   */
  public void requireMemory(TrainingDevice device) throws IOException {
    OptionalLong available = device.isGpu() ? device.gpuMemory() : hostMemory();
    if (available.isPresent()) {
      requireMemory(available.getAsLong(), device.toString());
    }
  }

  void requireMemory(long available, String device) throws IOException {
    if (memoryBytes() > available) {
      throw new IOException(
          ("cannot train %s in batches of %d: it needs at least %s of memory (%s for parameters, %s for"
                  + " activations), and %s has %s; choose a smaller --batch-size or --width")
              .formatted(
                  title,
                  batchSize,
                  size(memoryBytes()),
                  size(parameterBytes),
                  size(activationBytes),
                  device,
                  size(available)));
    }
  }

  /**
   * Requires room for the checkpoints of a new run.
   *
   * @param folder where they are written
   * @param keep how many are kept
   * @param written how many the run writes at least
   * @throws IOException the message has the needed and the available space
   */
  public void requireDisk(Path folder, int keep, long written) throws IOException {
    requireDisk(folder, keep, written, Files.getFileStore(folder).getUsableSpace());
  }

  void requireDisk(Path folder, int keep, long written, long usable) throws IOException {
    // One more than are kept: the oldest is removed when the newest is complete.
    long files = Math.min(written, keep + 1L);
    if (files * checkpointBytes > usable) {
      throw new IOException(
          ("cannot keep checkpoints in %s: %d of %s need %s, and the file system has %s free; make"
                  + " room, or choose a smaller --keep-checkpoints or --width")
              .formatted(
                  folder,
                  files,
                  size(checkpointBytes),
                  size(files * checkpointBytes),
                  size(usable)));
    }
  }

  /** The container's limit, or the machine's memory, with swap. */
  private static OptionalLong hostMemory() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        ? OptionalLong.of(system.getTotalMemorySize() + system.getTotalSwapSpaceSize())
        : OptionalLong.empty();
  }

  /** {@code at least 5.9 GiB of memory, 4.1 GiB a checkpoint}. */
  @Override
  public String toString() {
    return "at least %s of memory (parameters %s, activations %s), %s a checkpoint"
        .formatted(
            size(memoryBytes()),
            size(parameterBytes),
            size(activationBytes),
            size(checkpointBytes));
  }

  private static String size(long bytes) {
    return bytes < 1L << 30
        ? String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1 << 20))
        : String.format(Locale.ROOT, "%.1f GiB", bytes / (double) (1 << 30));
  }
}
