package dev.dcgan.trainer.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.pytorch.jni.JniUtils;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.data.Batch;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.GanNetworks.Phase;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Measures the throughput of training steps and the time of their phases, on one batch of noise and
 * without dataset, files or checkpoints. Everything runs on the caller's thread.
 */
public final class Benchmark implements AutoCloseable {

  private static final int MATRIX_SIDE = 2048;
  private static final int PRODUCTS_PER_TRIAL = 4;
  private static final int TRIALS = 5;

  /**
   * One measurement.
   *
   * @param imagesPerSecond throughput, measured without waiting for the device between phases
   * @param milliseconds the time per step of each phase, measured in further steps that wait for
   *     the device after each phase
   */
  public record Measurement(double imagesPerSecond, Map<String, Double> milliseconds) {}

  private final NDManager manager;
  private final GanNetworks networks;
  private final Batch batch;
  private final Batch lastOfStep;
  private final int batchesPerStep;
  private final NDArray syncArray;
  private final Map<Phase, Long> nanos = new EnumMap<>(Phase.class);

  // Mutable state
  private long batches;
  private boolean timingPhases;
  private long phaseStart;

  /**
   * Creates the networks and warms them up with two steps.
   *
   * @param hyperparameters the batch size and precision of the steps
   * @param batchesPerStep the discriminator's updates in a step, at most those of the
   *     hyperparameters
   * @param nativeOperators whether to compute with PyTorch's own operators only, as a plain PyTorch
   *     program does; on a GPU that is always so
   * @throws IOException if PyTorch's library does not have the expected version
   */
  public Benchmark(
      TrainingDevice device,
      Architecture architecture,
      Hyperparameters hyperparameters,
      int batchesPerStep,
      boolean nativeOperators)
      throws IOException {
    int batchSize = hyperparameters.batchSize();
    this.batchesPerStep = batchesPerStep;
    manager = NDManager.newBaseManager(device.device());
    try {
      syncArray = manager.ones(new Shape(1));
      networks =
          new GanNetworks(
              manager,
              architecture,
              hyperparameters,
              new Checkpoint.Dataset("noise", "", batchSize),
              nativeOperators,
              this::endPhase);
      lastOfStep =
          noise(architecture, !hyperparameters.extensions().augmentations().isEmpty(), batchSize);
      batch = new Batch(1, 0, lastOfStep.positions(), false, lastOfStep.values());
      var unused = train(2);
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  /** Creates a batch of random images and latents, with the labels in turn if there are classes. */
  static Batch noise(Architecture architecture, int n) {
    return noise(architecture, false, n);
  }

  /** The same, with the numbers of {@link DiffAugment} if it is used. */
  static Batch noise(Architecture architecture, boolean augmented, int n) {
    float[] images = Latents.of(1, 0, n * architecture.shape().values());
    float[] noise = new Randomness(1).noise(architecture.latentSize(), augmented, n).draw(1, 0, n);
    ByteBuffer buffer =
        ByteBuffer.allocateDirect((images.length + noise.length + n) * Float.BYTES)
            .order(ByteOrder.nativeOrder());
    for (float value : images) {
      buffer.putFloat((float) Math.tanh(value));
    }
    for (float value : noise) {
      buffer.putFloat(value);
    }
    for (int i = 0; i < n && architecture.classes() > 0; i++) {
      buffer.putFloat(i % architecture.classes());
    }
    return new Batch(1, 0, IntStream.range(0, n).toArray(), true, buffer.flip());
  }

  /** The number of threads that the engine uses on the CPU. */
  public static int threads() {
    return JniUtils.getNumThreads();
  }

  /** Measures the throughput of some steps, then the phases of as many further steps. */
  public Measurement measure(int steps) {
    double imagesPerSecond = imagesPerSecond(steps);
    nanos.clear();
    phaseStart = synchronize();
    timingPhases = true;
    var unused = train(steps);
    timingPhases = false;
    Map<String, Double> milliseconds = new LinkedHashMap<>();
    nanos.forEach((phase, sum) -> milliseconds.put(phase.label, sum / 1e6 / steps));
    return new Measurement(imagesPerSecond, milliseconds);
  }

  /** Measures the throughput of some steps alone. */
  public double imagesPerSecond(int steps) {
    long start = synchronize();
    long images = train(steps);
    return images / ((synchronize() - start) / 1e9);
  }

  /** Returns the number of images that the discriminator has seen. */
  private long train(int steps) {
    long images = 0;
    for (int i = 0; i < steps; i++) {
      try {
        StepMetrics metrics = networks.step(this::nextBatch);
        images += metrics.images();
        metrics.values().close();
      } catch (IOException e) {
        throw new IllegalStateException("cannot read a batch in memory", e);
      }
    }
    return images;
  }

  private Batch nextBatch() {
    batches++;
    return batches % batchesPerStep == 0 ? lastOfStep : batch;
  }

  private void endPhase(Phase phase) {
    if (!timingPhases) {
      return;
    }
    long now = synchronize();
    nanos.merge(phase, now - phaseStart, Long::sum);
    phaseStart = now;
  }

  /** Waits until the device is idle; returns the time in nanoseconds. */
  private long synchronize() {
    if (manager.getDevice().isGpu()) {
      HostCopies.floats(syncArray); // waits for all earlier work on the device
    }
    return System.nanoTime();
  }

  /**
   * The floating-point operations of training per image (a multiply-add counts as two), by the
   * definition of the layers, whatever algorithms compute them.
   *
   * <p>Per step, G runs two forward passes, or with shared fakes one, and one backward pass; D runs
   * three forward passes, two backward passes for its weights and one for its input. A backward
   * pass for weights has two products per layer (one in the first layer, whose input needs no
   * gradient), one for the input has one.
   *
   * @param sharedFakes whether both updates have the same fakes
   */
  public static double operationsPerImage(Architecture architecture, boolean sharedFakes) {
    List<Layer> generator = architecture.generator();
    int forward = sharedFakes ? 1 : 2;
    double multiplyAdds = 0;
    int side = 1;
    for (int i = 0; i < generator.size(); i++) {
      Layer layer = generator.get(i);
      multiplyAdds += (forward + (i == 0 ? 1 : 2)) * multiplyAdds(layer, side);
      side = layer.outputSide(side);
    }
    List<Layer> discriminator = architecture.discriminator();
    for (int i = 0; i < discriminator.size(); i++) {
      Layer layer = discriminator.get(i);
      side = layer.convolvedSide(side);
      multiplyAdds += (i == 0 ? 6 : 8) * multiplyAdds(layer, side);
    }
    return 2 * multiplyAdds;
  }

  /**
   * The multiply-adds of a layer whose kernel is applied at {@code side} x {@code side} positions.
   */
  private static double multiplyAdds(Layer layer, int side) {
    return (double) side * side * layer.in() * layer.out() * layer.kernel() * layer.kernel();
  }

  /**
   * The peak throughput of the device in floating-point operations per second: the best of some
   * trials with 2048 x 2048 matrices, as a matrix product and as a 1x1 convolution, because
   * different libraries compute the two and neither is faster on every machine.
   */
  public static double peak(TrainingDevice device) {
    Device where = device.device();
    long side = MATRIX_SIDE;
    try (NDManager manager = NDManager.newBaseManager(where)) {
      NDArray a = manager.randomNormal(0, 1, new Shape(side, side), DataType.FLOAT32);
      NDArray b = manager.randomNormal(0, 1, new Shape(side, side), DataType.FLOAT32);
      // (1, 2048, 32, 64), channels-last
      NDArray pixels = a.reshape(1, 32, side / 32, side).transpose(0, 3, 1, 2);
      NDArray kernels = b.reshape(side, side, 1, 1);
      NDArray syncArray = manager.ones(new Shape(1));
      double best = Double.MAX_VALUE;
      for (int i = 0; i < TRIALS; i++) {
        best = Math.min(best, seconds(() -> a.matMul(b), syncArray));
        best = Math.min(best, seconds(() -> convolution(pixels, kernels), syncArray));
      }
      return 2.0 * side * side * side / best;
    }
  }

  private static NDArray convolution(NDArray pixels, NDArray kernels) {
    return Conv2d.conv2d(pixels, kernels).singletonOrThrow();
  }

  /** The mean time of one product, from a few in a row. */
  private static double seconds(Supplier<NDArray> product, NDArray syncArray) {
    HostCopies.floats(syncArray); // waits for all earlier work on the device
    long start = System.nanoTime();
    for (int i = 0; i < PRODUCTS_PER_TRIAL; i++) {
      product.get().close();
    }
    HostCopies.floats(syncArray);
    return (System.nanoTime() - start) / 1e9 / PRODUCTS_PER_TRIAL;
  }

  @Override
  public void close() {
    manager.close();
  }
}
