package dev.dcgan.trainer.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.initializer.Initializer;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.net.Architecture.Layer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConvTranspose2dTest {

  private static final int BATCH = 2;
  private static final int IN = 3;
  private static final int OUT = 2;

  @ParameterizedTest
  @CsvSource({
    "PLAIN,3,3,1,0",
    "PLAIN,3,3,2,1",
    "PLAIN,3,4,1,1",
    "PLAIN,1,4,1,0",
    "BIAS_APART,3,3,1,1",
    "BIAS_APART,3,3,2,0",
    "BIAS_APART,6,4,2,1",
    "PRODUCT,1,3,2,0",
    "PRODUCT,1,4,1,0",
    "PATCHES,3,4,2,0",
    "PATCHES,5,4,2,1",
    "PATCHES,3,2,1,0",
    "PATCHES,2,6,3,2",
    "TOOM_COOK,3,4,1,0",
    "TOOM_COOK,3,3,1,0",
    "TOOM_COOK,2,2,1,0",
    "TOOM_COOK,4,3,1,0"
  })
  void forward_equalsThePlainLoop(
      Formulation formulation, int side, int kernel, int stride, int padding) {
    Case layer = new Case(formulation, side, kernel, stride, padding);

    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray y = layer.forward(manager, layer.block(manager), layer.x);

      assertThat(y.getShape()).isEqualTo(new Shape(BATCH, OUT, layer.outputSide, layer.outputSide));
      // Sums of up to 48 terms near 1; interpolation takes differences of larger ones.
      float precision = formulation == Formulation.TOOM_COOK ? 1e-4f : 1e-5f;
      assertThat(y.toFloatArray())
          .usingComparatorWithPrecision(precision)
          .containsExactly(layer.y());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "PLAIN,3,3,1,0", "PLAIN,3,4,2,1", "BIAS_APART,3,3,2,0", "BIAS_APART,3,4,2,1",
    "PRODUCT,1,3,2,0", "PATCHES,3,4,2,0", "PATCHES,3,4,2,1", "TOOM_COOK,3,4,1,0"
  })
  void gradients_equalFiniteDifferences(
      Formulation formulation, int side, int kernel, int stride, int padding) {
    Case layer = new Case(formulation, side, kernel, stride, padding);
    // loss = sum(y * probe) is linear in each of x, weight and bias: central differences are exact
    // but
    // for rounding, which the plain loop keeps small by summing in double.
    float[] probe = Latents.of(7, 3, layer.y().length);

    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      ConvTranspose2d block = layer.block(manager);
      NDArray x = manager.create(layer.x, layer.inputShape());
      x.setRequiresGradient(true);
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        NDArray y =
            block
                .forward(new ParameterStore(manager, false), new NDList(x), true)
                .singletonOrThrow();
        collector.backward(y.mul(manager.create(probe, y.getShape())).sum());
      }

      assertMatches(x, layer.x, layer, probe);
      assertMatches(parameter(block, "weight"), layer.weight, layer, probe);
      assertMatches(parameter(block, "bias"), layer.bias, layer, probe);
    }
  }

  private static void assertMatches(NDArray variable, float[] values, Case layer, float[] probe) {
    float[] gradient = variable.getGradient().toFloatArray();
    float step = 0.5f;
    for (int i = 0; i < values.length; i++) {
      float original = values[i];
      values[i] = original + step;
      double above = layer.loss(probe);
      values[i] = original - step;
      double below = layer.loss(probe);
      values[i] = original;
      assertThat((double) gradient[i]).isCloseTo((above - below) / (2 * step), within(1e-4));
    }
  }

  private static NDArray parameter(ConvTranspose2d block, String name) {
    return block.getParameters().get(name).getArray();
  }

  /** A layer with weights and input, and the definition of its output as plain loops. */
  private static final class Case {
    final Formulation formulation;
    final int side;
    final Layer layer;
    final int outputSide;
    final float[] x;
    final float[] weight;
    final float[] bias = Latents.of(7, 2, OUT);

    Case(Formulation formulation, int side, int kernel, int stride, int padding) {
      this.formulation = formulation;
      this.side = side;
      layer = new Layer(IN, OUT, kernel, stride, padding, false);
      outputSide = (side - 1) * stride - 2 * padding + kernel;
      x = Latents.of(7, 0, BATCH * IN * side * side);
      weight = Latents.of(7, 1, IN * OUT * kernel * kernel);
    }

    Shape inputShape() {
      return new Shape(BATCH, IN, side, side);
    }

    ConvTranspose2d block(NDManager manager) {
      ConvTranspose2d block = new ConvTranspose2d(manager, layer, side, formulation);
      block.setInitializer(Initializer.ZEROS, parameter -> true);
      block.initialize(manager, DataType.FLOAT32, inputShape());
      set(block.getParameters().get("weight"), weight);
      set(block.getParameters().get("bias"), bias);
      return block;
    }

    private static void set(Parameter parameter, float[] values) {
      Network.assign(parameter.getArray(), values);
    }

    NDArray forward(NDManager manager, ConvTranspose2d block, float[] input) {
      NDArray x = manager.create(input, inputShape());
      return block
          .forward(new ParameterStore(manager, false), new NDList(x), false)
          .singletonOrThrow();
    }

    double loss(float[] probe) {
      double[] y = sums();
      double loss = 0;
      for (int i = 0; i < y.length; i++) {
        loss += y[i] * probe[i];
      }
      return loss;
    }

    float[] y() {
      double[] sums = sums();
      float[] y = new float[sums.length];
      for (int i = 0; i < y.length; i++) {
        y[i] = (float) sums[i];
      }
      return y;
    }

    /** Every input value stamps the kernel, scaled by it, onto the output: the definition. */
    private double[] sums() {
      int k = layer.kernel();
      double[] y = new double[BATCH * OUT * outputSide * outputSide];
      for (int n = 0; n < BATCH; n++) {
        for (int o = 0; o < OUT; o++) {
          for (int row = 0; row < outputSide; row++) {
            for (int column = 0; column < outputSide; column++) {
              y[((n * OUT + o) * outputSide + row) * outputSide + column] = bias[o];
            }
          }
        }
        for (int c = 0; c < IN; c++) {
          for (int i = 0; i < side * side; i++) {
            for (int o = 0; o < OUT; o++) {
              for (int tap = 0; tap < k * k; tap++) {
                int row = i / side * layer.stride() + tap / k - layer.padding();
                int column = i % side * layer.stride() + tap % k - layer.padding();
                if (row >= 0 && row < outputSide && column >= 0 && column < outputSide) {
                  y[((n * OUT + o) * outputSide + row) * outputSide + column] +=
                      (double) x[(n * IN + c) * side * side + i]
                          * weight[((c * OUT + o) * k * k) + tap];
                }
              }
            }
          }
        }
      }
      return y;
    }
  }
}
