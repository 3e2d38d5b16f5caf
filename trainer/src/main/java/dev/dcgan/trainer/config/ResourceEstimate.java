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
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The memory and disk that a training run needs.
 *
 * <p>{@link #memoryBytes} is a lower bound: every parameter with its gradient and Adam's two
 * moments, batch normalization's statistics, and the averaged generator if there is one; and the
 * activations that the backward pass of one step needs, for all images of a batch.
 *
 * <p>{@link #peakBytes} is an estimate of the peak: also the libraries and the JVM, the images, the
 * batches that are loaded, the gradients of activations, workspaces of convolutions, and the copies
 * that a checkpoint is written from. Its factors are measured; see the test.
 *
 * @param title of the architecture, for messages
 * @param batchSize images in a batch
 * @param parameterBytes of parameters, gradients, moments and the average
 * @param activationBytes of a batch
 * @param inputBytes of one batch: images and latents
 * @param checkpointBytes of a checkpoint's values
 */
public record ResourceEstimate(
    String title,
    int batchSize,
    long parameterBytes,
    long activationBytes,
    long inputBytes,
    long checkpointBytes) {

  // Weight, gradient and two moments.
  private static final int COPIES_IN_MEMORY = 4;
  private static final int COPIES_IN_A_CHECKPOINT = 3;
  // The JVM, its heap without images, and the libraries.
  private static final long BASE_BYTES = 400L << 20;
  private static final double PEAK_PER_PARAMETER_BYTE = 2.2;
  private static final double PEAK_PER_ACTIVATION_BYTE = 5;
  // Loaded by the data loader, in use, and on the device.
  private static final int BATCHES_IN_MEMORY = 5;

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
        (long) Float.BYTES
            * (architecture.shape().values() + 2L * architecture.latentSize() + 1)
            * batchSize,
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
   * The peak memory of a process that trains on the CPU, approximately.
   *
   * @param imageBytes of the decoded images in memory
   */
  public long peakBytes(long imageBytes) {
    return BASE_BYTES + imageBytes + BATCHES_IN_MEMORY * inputBytes + computingBytes();
  }

  /** The peak memory on a GPU, approximately; with the factors of the CPU. */
  public long gpuPeakBytes() {
    return BASE_BYTES + inputBytes + computingBytes();
  }

  /**
   * The peak host memory of a process that trains on a GPU, approximately.
   *
   * @param imageBytes of the decoded images in memory
   */
  public long hostPeakBytesOfGpu(long imageBytes) {
    // CUDA's libraries take about as much again as everything else.
    return 2 * BASE_BYTES + imageBytes + BATCHES_IN_MEMORY * inputBytes + 2 * checkpointBytes;
  }

  private long computingBytes() {
    return (long) (PEAK_PER_PARAMETER_BYTE * parameterBytes)
        + (long) (PEAK_PER_ACTIVATION_BYTE * activationBytes);
  }

  /**
   * Why the run probably does not fit into the memory of a device; empty: it does, or the memory is
   * not known.
   *
   * @param imageBytes of the decoded images in memory
   */
  public Optional<String> warning(TrainingDevice device, long imageBytes) {
    OptionalLong available = device.isGpu() ? device.gpuMemory() : physicalMemory();
    long peak = device.isGpu() ? gpuPeakBytes() : peakBytes(imageBytes);
    return available.isPresent() && peak > available.getAsLong()
        ? Optional.of(
            "the run may run out of memory: it needs about %s, and %s has %s; a smaller --batch-size or --width needs less"
                .formatted(size(peak), device, size(available.getAsLong())))
        : Optional.empty();
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

  /** The container's limit, or the machine's memory, without swap; bytes. */
  public static OptionalLong physicalMemory() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        ? OptionalLong.of(system.getTotalMemorySize())
        : OptionalLong.empty();
  }

  /** The container's limit, or the machine's memory, with swap. */
  private static OptionalLong hostMemory() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        ? OptionalLong.of(system.getTotalMemorySize() + system.getTotalSwapSpaceSize())
        : OptionalLong.empty();
  }

  /** {@code about 9.2 GiB of memory beside the images ..., 4.1 GiB a checkpoint}. */
  @Override
  public String toString() {
    return "about %s of memory beside the images (parameters %s, activations %s), %s a checkpoint"
        .formatted(
            size(peakBytes(0)), size(parameterBytes), size(activationBytes), size(checkpointBytes));
  }

  /** For messages: {@code 1.5 GiB}. */
  public static String size(long bytes) {
    return bytes < 1L << 30
        ? String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1 << 20))
        : String.format(Locale.ROOT, "%.1f GiB", bytes / (double) (1 << 30));
  }
}
