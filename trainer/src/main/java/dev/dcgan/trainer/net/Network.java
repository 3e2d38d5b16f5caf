package dev.dcgan.trainer.net;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.nn.SequentialBlock;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.ParameterStore;
import ai.djl.training.initializer.Initializer;
import ai.djl.util.Pair;
import dev.dcgan.latent.Latents;
import dev.dcgan.latent.Philox;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A stack of layers with its parameters, on one device.
 *
 * <p>For the thread that makes it alone: PyTorch's modes, which are set here, are a thread's own.
 * The parameters live in the manager that it was made with; what {@link #forward} returns lives in
 * its input's.
 */
public abstract sealed class Network permits Generator, Discriminator {

  private static final float WEIGHT_DEVIATION = 0.02f;

  private final SequentialBlock block;
  private final ParameterStore store;

  Network(NDManager manager, SequentialBlock block, Shape input) {
    // Gradients are for GradientCollectors: outside of them, weights are written in place and
    // images are constants. The engine turns them off itself only on the thread that started it.
    JniUtils.setGradMode(false);
    // The scripts are a few large operators each: profiling and fusing them costs and gains
    // nothing.
    JniUtils.setGraphExecutorOptimize(false);
    this.block = block;
    block.setInitializer(Initializer.ZEROS, parameter -> true);
    block.initialize(manager, DataType.FLOAT32, input);
    store = new ParameterStore(manager, false);
  }

  /**
   * Runs the layers; in training, batch normalisation uses and remembers the batch's own
   * statistics.
   */
  public final NDArray forward(NDArray input, boolean training) {
    return block.forward(store, new NDList(input), training).singletonOrThrow();
  }

  /** Every parameter by name, in the layers' order; batch normalisation's statistics among them. */
  public final Map<String, Parameter> parameters() {
    Map<String, Parameter> parameters = new LinkedHashMap<>();
    for (Pair<String, Parameter> entry : block.getParameters()) {
      parameters.put(entry.getKey(), entry.getValue());
    }
    return parameters;
  }

  /** Whether backward passes reach this network's parameters; off while the other one learns. */
  public final void setLearning(boolean learning) {
    for (Parameter parameter : parameters().values()) {
      if (parameter.requiresGradient()) {
        parameter.getArray().setRequiresGradient(learning);
      }
    }
  }

  /**
   * Draws the first weights: kernels N(0, 0.02), batch normalisation's scale N(gammaMean, 0.02) and
   * shift 0 (Radford et al. 2015, section 4), and biases as PyTorch's convolutions have them by
   * default, uniform in +-1/sqrt(fan in). From (seed, position) alone, so the same on every device.
   */
  final void initialize(long seed, float gammaMean) {
    int position = 0;
    int fanIn = 0;
    for (Parameter parameter : parameters().values()) {
      Shape shape = parameter.getArray().getShape();
      float[] values = new float[(int) shape.size()];
      switch (parameter.getType()) {
        case WEIGHT -> {
          normal(seed, position, 0, values);
          // As PyTorch counts it, for transposed convolutions too: the second dimension.
          fanIn = (int) (shape.get(1) * shape.get(2) * shape.get(3));
        }
        case BIAS -> uniform(seed, position, (float) (1 / Math.sqrt(fanIn)), values);
        case GAMMA -> normal(seed, position, gammaMean, values);
        case RUNNING_VAR -> Arrays.fill(values, 1);
        case BETA, RUNNING_MEAN -> {}
        default -> throw new IllegalStateException("no rule for " + parameter.getType());
      }
      assign(parameter.getArray(), values);
      position++;
    }
  }

  /** Overwrites an array in place; it stays the same leaf of the gradient's graph. */
  public static void assign(NDArray array, float[] values) {
    HostCopies.fill(array, values);
  }

  private static void normal(long seed, int position, float mean, float[] values) {
    Latents.fill(seed, position, values, 0, values.length);
    for (int i = 0; i < values.length; i++) {
      values[i] = mean + WEIGHT_DEVIATION * values[i];
    }
  }

  private static void uniform(long seed, int position, float bound, float[] values) {
    int[] words = new int[4];
    for (int i = 0; i < values.length; i++) {
      if (i % 4 == 0) {
        Philox.block(seed, i / 4, position, words);
      }
      // 24 bits: what a float32 can tell apart in [0, 1).
      values[i] = ((words[i % 4] >>> 8) * 0x1p-23f - 1) * bound;
    }
  }
}
