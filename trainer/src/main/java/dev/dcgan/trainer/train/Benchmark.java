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
 * Training steps on one batch of noise over and over, timed part by part: what the networks cost,
 * without files, pictures or checkpoints. Everything runs on the caller's thread.
 */
public final class Benchmark implements AutoCloseable {

  private static final int PRODUCT_SIDE = 2048;
  private static final int PRODUCTS = 4;
  private static final int PRODUCT_TRIES = 5;

  /**
   * What a turn took.
   *
   * @param imagesPerSecond pictures in the batches of the turn's first half over its time
   * @param milliseconds a step of the second half, by part; the device is waited for after each
   */
  public record Turn(double imagesPerSecond, Map<String, Double> milliseconds) {}

  private final NDManager manager;
  private final GanNetworks networks;
  private final Batch batch;
  private final NDArray probe;
  private final Map<Phase, Long> nanos = new EnumMap<>(Phase.class);

  // Mutable state
  private boolean lapping;
  private long lap;

  /**
   * Networks that are ready to train, after two steps that are not timed.
   *
   * @param hyperparameters of the steps; one batch for each of the discriminator and the generator
   * @param plain whether every layer is computed by PyTorch's own operator, as a user would without
   *     this program; on a GPU it always is
   * @throws IOException PyTorch's library is not of the expected version
   */
  public Benchmark(
      TrainingDevice device,
      Architecture architecture,
      Hyperparameters hyperparameters,
      boolean plain)
      throws IOException {
    int batchSize = hyperparameters.batchSize();
    manager = NDManager.newBaseManager(device.device());
    try {
      probe = manager.ones(new Shape(1));
      networks =
          new GanNetworks(
              manager,
              architecture,
              hyperparameters,
              new Checkpoint.Dataset("noise", "", batchSize),
              plain,
              this::endLap);
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
    batch = noise(architecture, batchSize);
    turn(2);
  }

  /** A batch of random images, and a step's noise for them. */
  static Batch noise(Architecture architecture, int n) {
    float[] images = Latents.of(1, 0, n * architecture.shape().values());
    float[] noise = new Randomness(1).noise(architecture.latentSize(), n).draw(1, 0, n);
    ByteBuffer buffer =
        ByteBuffer.allocateDirect((images.length + noise.length) * Float.BYTES)
            .order(ByteOrder.nativeOrder());
    for (float value : images) {
      buffer.putFloat((float) Math.tanh(value));
    }
    for (float value : noise) {
      buffer.putFloat(value);
    }
    return new Batch(1, 0, IntStream.range(0, n).toArray(), true, buffer.flip());
  }

  /** The threads that the engine computes with on the CPU. */
  public static int threads() {
    return JniUtils.getNumThreads();
  }

  /** Runs some steps without looking, then as many with an eye on each part. */
  public Turn turn(int steps) {
    long start = await();
    train(steps);
    double seconds = (await() - start) / 1e9;
    nanos.clear();
    lap = await();
    lapping = true;
    train(steps);
    lapping = false;
    Map<String, Double> milliseconds = new LinkedHashMap<>();
    nanos.forEach((phase, sum) -> milliseconds.put(phase.title, sum / 1e6 / steps));
    return new Turn(steps * batch.size() / seconds, milliseconds);
  }

  private void train(int steps) {
    for (int i = 0; i < steps; i++) {
      try {
        networks.step(() -> batch).figures().close();
      } catch (IOException e) {
        throw new IllegalStateException("a batch in memory is not read", e);
      }
    }
  }

  private void endLap(Phase phase) {
    if (!lapping) {
      return;
    }
    long now = await();
    nanos.merge(phase, now - lap, Long::sum);
    lap = now;
  }

  /** The time when the device has done all that it was told to. */
  private long await() {
    if (manager.getDevice().isGpu()) {
      HostCopies.floats(probe); // Comes after everything before it.
    }
    return System.nanoTime();
  }

  /**
   * The arithmetic of training on one picture, in operations (a multiplication and its addition are
   * two), by the definition of the layers: however cleverly they are computed, it stays the same.
   *
   * <p>G runs forward twice and backward once, D forward three times, backward twice for its
   * weights and once for its input; a pass backward is two products, one where the input needs no
   * gradient.
   */
  public static double operationsPerImage(Architecture architecture) {
    List<Layer> generator = architecture.generator();
    double products = 0;
    int side = 1;
    for (int i = 0; i < generator.size(); i++) {
      Layer layer = generator.get(i);
      products += (i == 0 ? 3 : 4) * products(layer, side);
      side = layer.outputSide(side);
    }
    List<Layer> discriminator = architecture.discriminator();
    for (int i = 0; i < discriminator.size(); i++) {
      Layer layer = discriminator.get(i);
      side = (side + 2 * layer.padding() - layer.kernel()) / layer.stride() + 1;
      products += (i == 0 ? 6 : 8) * products(layer, side);
    }
    return 2 * products;
  }

  /** Of a layer whose kernels are laid on {@code side} x {@code side} places. */
  private static double products(Layer layer, int side) {
    return (double) side * side * layer.in() * layer.out() * layer.kernel() * layer.kernel();
  }

  /**
   * The fastest matrix product that the device shows, in operations a second: the best of some
   * tries with 2048 x 2048 matrices, as a product and as a convolution with 1x1 kernels, because
   * the libraries behind the two differ and neither is the faster everywhere.
   */
  public static double peak(TrainingDevice device) {
    Device where = device.device();
    long side = PRODUCT_SIDE;
    try (NDManager manager = NDManager.newBaseManager(where)) {
      NDArray a = manager.randomNormal(0, 1, new Shape(side, side), DataType.FLOAT32);
      NDArray b = manager.randomNormal(0, 1, new Shape(side, side), DataType.FLOAT32);
      // (1, 2048, 32, 64), channels next to each other in memory.
      NDArray pixels = a.reshape(1, 32, side / 32, side).transpose(0, 3, 1, 2);
      NDArray kernels = b.reshape(side, side, 1, 1);
      NDArray probe = manager.ones(new Shape(1));
      double best = Double.MAX_VALUE;
      for (int i = 0; i < PRODUCT_TRIES; i++) {
        best = Math.min(best, seconds(() -> a.matMul(b), probe));
        best = Math.min(best, seconds(() -> convolution(pixels, kernels), probe));
      }
      return 2.0 * side * side * side / best;
    }
  }

  private static NDArray convolution(NDArray pixels, NDArray kernels) {
    return Conv2d.conv2d(pixels, kernels).singletonOrThrow();
  }

  /** Of one product, by a few in a row. */
  private static double seconds(Supplier<NDArray> product, NDArray probe) {
    HostCopies.floats(probe); // Waits for what a GPU is still at.
    long start = System.nanoTime();
    for (int i = 0; i < PRODUCTS; i++) {
      product.get().close();
    }
    HostCopies.floats(probe);
    return (System.nanoTime() - start) / 1e9 / PRODUCTS;
  }

  @Override
  public void close() {
    manager.close();
  }
}
