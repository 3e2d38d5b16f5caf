package dev.dcgan.trainer.gan;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.JniUtils;
import dev.dcgan.latent.Latents;
import dev.dcgan.latent.Philox;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A sequence of layers with their parameters on one device, computed by TorchScript.
 *
 * <p>Only the thread that created it may use it, because PyTorch's grad mode is per thread. The
 * parameters belong to the manager it was created with, the result of {@link #forward} to the
 * input's manager.
 */
public abstract sealed class Network permits Generator, Discriminator {

  /** The arguments of {@link #functions} after the inputs. */
  static final List<String> LISTS =
      List.of("weights: List[Tensor]", "statistics: List[Tensor]", "constants: List[Tensor]");

  private static final float WEIGHT_STANDARD_DEVIATION = 0.02f;
  private static final float MOMENTUM = 0.9f;

  /** Batch normalization's epsilon. */
  static final float EPSILON = 1e-5f;

  private final NDManager manager;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final NDList weights = new NDList();
  private final NDList statistics = new NDList();
  private final NDList constants;
  private final List<String> inputs = new ArrayList<>(List.of("x: Tensor"));
  private final List<String> statements = new ArrayList<>();

  // Mutable state
  private int layers;
  private @Nullable PtSymbolBlock inference;

  Network(NDManager manager) {
    // The engine disables the grad mode only on the thread that started it. TorchScript.run enables
    // it while a script runs; everywhere else weights are changed in place.
    JniUtils.setGradMode(false);
    // Each script has a few large operators: profiling and fusing them costs time for no gain.
    // Without optimization, autograd records them like operators called one by one.
    JniUtils.setGraphExecutorOptimize(false);
    this.manager = manager;
    constants = new NDList(manager.zeros(new Shape())); // the engine cannot pass an empty list
  }

  /**
   * Adds a convolution.
   *
   * @param call an expression of x with two {@code %s} for weight and bias
   */
  final void addConvolution(String kind, Shape weight, int out, String call) {
    layers++;
    String w = add(kind, "weight", Parameter.Type.WEIGHT, weight);
    String b = add(kind, "bias", Parameter.Type.BIAS, new Shape(out));
    statements.add("x = " + call.formatted(w, b));
  }

  final void addBatchNorm(int channels) {
    layers++;
    Shape shape = new Shape(channels);
    String kind = "BatchNorm";
    String gamma = add(kind, "gamma", Parameter.Type.GAMMA, shape);
    String beta = add(kind, "beta", Parameter.Type.BETA, shape);
    String mean = add(kind, "runningMean", Parameter.Type.RUNNING_MEAN, shape);
    String variance = add(kind, "runningVar", Parameter.Type.RUNNING_VAR, shape);
    statements.add(
        "x = torch.batch_norm(x, %s, %s, %s, %s, TRAINING, %s, %s, True)"
            .formatted(
                gamma,
                beta,
                mean,
                variance,
                // PyTorch's momentum is the batch's weight; in float32, as in existing runs.
                (double) (1 - MOMENTUM),
                (double) EPSILON));
  }

  final void addActivation(String expression) {
    layers++;
    statements.add("x = " + expression);
  }

  /** Adds an input after x. */
  final void addInput(String name) {
    inputs.add(name + ": Tensor");
  }

  final void addStatement(String statement) {
    statements.add(statement);
  }

  /**
   * Adds a learned vector for each class, {@code <layers so far><kind>_weight}: the names of the
   * layers are those of networks without classes. Returns its name in scripts.
   */
  final String addEmbedding(String kind, int classes, int size) {
    return add(kind, "weight", Parameter.Type.OTHER, new Shape(classes, size));
  }

  /** Adds constants; returns their names in scripts. */
  final List<String> addConstants(NDList added) {
    List<String> names = new ArrayList<>();
    for (NDArray constant : added) {
      names.add("constants[" + constants.size() + "]");
      constants.add(constant);
    }
    return names;
  }

  /** Adds a parameter of the current layer; returns its name in scripts. */
  private String add(String kind, String name, Parameter.Type type, Shape shape) {
    boolean trainable = type != Parameter.Type.RUNNING_MEAN && type != Parameter.Type.RUNNING_VAR;
    Parameter parameter =
        Parameter.builder().setName(name).setType(type).optRequiresGrad(trainable).build();
    NDArray array = manager.zeros(shape);
    parameter.setArray(array);
    // Checkpoints contain these names.
    parameters.put("%02d%s_%s".formatted(layers, kind, name), parameter);
    NDList list = trainable ? weights : statistics;
    list.add(array);
    return (trainable ? "weights[" : "statistics[") + (list.size() - 1) + "]";
  }

  /** The functions of single layers that the network's function calls. */
  List<Function> layerFunctions() {
    return List.of();
  }

  /**
   * The network as TorchScript: a function {@code name} of the inputs and the lists {@link
   * #trainable}, {@link #statistics} and {@link #constants}, and the functions that it calls.
   *
   * @param training whether batch normalization is in training mode: it uses the batch's statistics
   *     and updates the running ones
   */
  public final List<Function> functions(String name, boolean training) {
    List<String> arguments = new ArrayList<>(inputs);
    arguments.addAll(LISTS);
    List<String> lines = new ArrayList<>(statements);
    lines.add("return x");
    String body = String.join("\n", lines).replace("TRAINING", training ? "True" : "False");
    List<Function> functions = new ArrayList<>(layerFunctions());
    functions.add(new Function(name, arguments, body));
    return functions;
  }

  private PtSymbolBlock inference() {
    List<Function> functions = new ArrayList<>(functions("network", false));
    functions.add(
        Function.forward(
            List.of("inputs", "weights", "statistics", "constants"),
            IntStream.range(0, inputs.size())
                .mapToObj(i -> "inputs[" + i + "], ")
                .collect(
                    Collectors.joining(
                        "", "return (self).network(", "weights, statistics, constants)"))));
    return TorchScript.load(manager, functions);
  }

  /** Runs the network in evaluation mode. */
  public final NDArray forward(NDArray... inputs) {
    if (inference == null) {
      inference = inference();
    }
    return TorchScript.run(inference, new NDList(inputs), weights, statistics, constants);
  }

  /** The trainable parameters, in the layers' order. */
  public final NDList trainable() {
    return weights;
  }

  /** Batch normalization's running statistics, in the layers' order. */
  public final NDList statistics() {
    return statistics;
  }

  /** The constants of the network's functions; never empty. */
  public final NDList constants() {
    return constants;
  }

  /** All parameters by name in the layers' order, including batch normalization's statistics. */
  public final Map<String, Parameter> parameters() {
    return parameters;
  }

  /**
   * Initializes the weights: kernels from N(0, 0.02), batch normalization's scale from N(gammaMean,
   * 0.02) and shift 0 (Radford et al. 2015, section 4), biases as PyTorch's convolutions do by
   * default, uniform in +-1/sqrt(fan-in). They depend on (seed, position) alone, so they are the
   * same on every device.
   *
   * @param embeddingDeviation the standard deviation of {@linkplain #addEmbedding embeddings}
   */
  final void initialize(long seed, float gammaMean, float embeddingDeviation) {
    int position = 0;
    int fanIn = 0;
    for (Parameter parameter : parameters.values()) {
      Shape shape = parameter.getArray().getShape();
      float[] values = new float[(int) shape.size()];
      switch (parameter.getType()) {
        case WEIGHT -> {
          normal(seed, position, 0, WEIGHT_STANDARD_DEVIATION, values);
          // PyTorch computes the fan-in from the second dimension, for transposed convolutions too.
          fanIn = (int) (shape.get(1) * shape.get(2) * shape.get(3));
        }
        case BIAS -> uniform(seed, position, (float) (1 / Math.sqrt(fanIn)), values);
        case GAMMA -> normal(seed, position, gammaMean, WEIGHT_STANDARD_DEVIATION, values);
        case OTHER -> normal(seed, position, 0, embeddingDeviation, values);
        case RUNNING_VAR -> Arrays.fill(values, 1);
        case BETA, RUNNING_MEAN -> {}
        default -> throw new IllegalStateException("no initialization for " + parameter.getType());
      }
      assign(parameter.getArray(), values);
      position++;
    }
  }

  /** Overwrites an array in place; it remains the same leaf of the autograd graph. */
  public static void assign(NDArray array, float[] values) {
    HostCopies.fill(array, values);
  }

  private static void normal(long seed, int position, float mean, float deviation, float[] values) {
    Latents.fill(seed, position, values, 0, values.length);
    for (int i = 0; i < values.length; i++) {
      values[i] = mean + deviation * values[i];
    }
  }

  private static void uniform(long seed, int position, float bound, float[] values) {
    int[] words = new int[4];
    for (int i = 0; i < values.length; i++) {
      if (i % 4 == 0) {
        Philox.block(seed, i / 4, position, words);
      }
      // 24 bits, the resolution of float32 in [0, 1).
      values[i] = ((words[i % 4] >>> 8) * 0x1p-23f - 1) * bound;
    }
  }
}
