package dev.dcgan.trainer.gan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.JniUtils;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TransposedConvolutionTest {

  private static final int BATCH = 2;
  private static final int IN = 3;
  private static final int OUT = 2;

  @ParameterizedTest
  @CsvSource({
    "NATIVE,3,3,1,0",
    "NATIVE,3,3,2,1",
    "NATIVE,3,4,1,1",
    "NATIVE,1,4,1,0",
    "NATIVE_SEPARATE_BIAS,3,3,1,1",
    "NATIVE_SEPARATE_BIAS,3,3,2,0",
    "NATIVE_SEPARATE_BIAS,6,4,2,1",
    "GEMM,1,3,2,0",
    "GEMM,1,4,1,0",
    "GEMM_COL2IM,3,4,2,0",
    "GEMM_COL2IM,5,4,2,1",
    "GEMM_COL2IM,3,2,1,0",
    "GEMM_COL2IM,2,6,3,2",
    "TOOM_COOK,3,4,1,0",
    "TOOM_COOK,3,3,1,0",
    "TOOM_COOK,2,2,1,0",
    "TOOM_COOK,4,3,1,0",
    "TOOM_COOK_STRIDE_2,6,3,2,0",
    "TOOM_COOK_STRIDE_2,4,4,2,1",
    "TOOM_COOK_STRIDE_2,8,4,2,1",
    "TOOM_COOK_STRIDE_2,9,3,2,1",
    "TOOM_COOK_STRIDE_2,16,4,2,0"
  })
  void forward_equalsThePlainLoop(
      ConvTransposeAlgorithm algorithm, int side, int kernel, int stride, int padding) {
    Case layer = new Case(algorithm, side, kernel, stride, padding);

    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray y =
          layer.run(manager, "return (self).layer(%s)".formatted(layer.arguments("inputs")));

      assertThat(y.getShape()).isEqualTo(new Shape(BATCH, OUT, layer.outputSide, layer.outputSide));
      // Sums of up to 48 terms near 1; interpolation takes differences of larger ones.
      float precision = algorithm.name().startsWith("TOOM_COOK") ? 1e-4f : 1e-5f;
      assertThat(y.toFloatArray())
          .usingComparatorWithPrecision(precision)
          .containsExactly(layer.y());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "NATIVE,3,3,1,0",
    "NATIVE,3,4,2,1",
    "NATIVE_SEPARATE_BIAS,3,3,2,0",
    "NATIVE_SEPARATE_BIAS,3,4,2,1",
    "GEMM,1,3,2,0",
    "GEMM_COL2IM,3,4,2,0",
    "GEMM_COL2IM,3,4,2,1",
    "TOOM_COOK,3,4,1,0",
    "TOOM_COOK_STRIDE_2,6,3,2,0",
    "TOOM_COOK_STRIDE_2,4,4,2,1"
  })
  void gradients_equalFiniteDifferences(
      ConvTransposeAlgorithm algorithm, int side, int kernel, int stride, int padding) {
    Case layer = new Case(algorithm, side, kernel, stride, padding);
    // loss = sum(y * probe) is linear in each of x, weight and bias: central differences are exact
    // but
    // for rounding, which the plain loop keeps small by summing in double.
    float[] probe = Latents.of(7, 3, layer.y().length);

    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray gradients =
          layer.run(
              manager,
              """
              leaves = [torch.requires_grad_(inputs[0]), torch.requires_grad_(inputs[1]), torch.requires_grad_(inputs[2])]
              y = (self).layer(%s)
              found = torch.grad([torch.sum(torch.mul(y, torch.reshape(probe[0], torch.size(y))))], leaves)
              return torch.cat([torch.reshape(unchecked_cast(Tensor, found[0]), [-1]), \
              torch.reshape(unchecked_cast(Tensor, found[1]), [-1]), unchecked_cast(Tensor, found[2])])"""
                  .formatted(layer.arguments("leaves")),
              probe);

      float[] all = gradients.toFloatArray();
      int weightAt = layer.x.length;
      int biasAt = weightAt + layer.weight.length;
      assertMatches(Arrays.copyOfRange(all, 0, weightAt), layer.x, layer, probe);
      assertMatches(Arrays.copyOfRange(all, weightAt, biasAt), layer.weight, layer, probe);
      assertMatches(Arrays.copyOfRange(all, biasAt, all.length), layer.bias, layer, probe);
    }
  }

  private static void assertMatches(float[] gradient, float[] values, Case layer, float[] probe) {
    assertThat(gradient).hasSameSizeAs(values);
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

  /** A layer with weights and input, and the definition of its output as plain loops. */
  private static final class Case {
    final ConvTransposeAlgorithm algorithm;
    final int side;
    final Layer layer;
    final int outputSide;
    final float[] x;
    final float[] weight;
    final float[] bias = Latents.of(7, 2, OUT);

    Case(ConvTransposeAlgorithm algorithm, int side, int kernel, int stride, int padding) {
      this.algorithm = algorithm;
      this.side = side;
      layer = new Layer(IN, OUT, kernel, stride, padding, false);
      outputSide = (side - 1) * stride - 2 * padding + kernel;
      x = Latents.of(7, 0, BATCH * IN * side * side);
      weight = Latents.of(7, 1, IN * OUT * kernel * kernel);
    }

    Shape inputShape() {
      return new Shape(BATCH, IN, side, side);
    }

    /** The layer's arguments: x, weight and bias from {@code list}, and the constants. */
    String arguments(String list) {
      StringBuilder arguments = new StringBuilder("%1$s[0], %1$s[1], %1$s[2]".formatted(list));
      for (int i = 0; i < algorithm.constantNames().size(); i++) {
        arguments.append(", constants[").append(i + 1).append(']');
      }
      return arguments.toString();
    }

    /** Runs statements over inputs (x, weight, bias), constants (from 1) and the probe. */
    NDArray run(NDManager manager, String body, float... probe) {
      NDList constants = new NDList(manager.zeros(new Shape()));
      constants.addAll(algorithm.constants(manager, layer, side));
      PtSymbolBlock script =
          TorchScript.load(
              manager,
              List.of(
                  algorithm.function("layer", layer, side),
                  Function.forward(List.of("inputs", "constants", "probe"), body)));
      int kernel = layer.kernel();
      NDList inputs =
          new NDList(
              manager.create(x, inputShape()),
              manager.create(weight, new Shape(IN, OUT, kernel, kernel)),
              manager.create(bias));
      JniUtils.setGradMode(false);
      JniUtils.setGraphExecutorOptimize(false);
      return TorchScript.run(script, inputs, constants, new NDList(manager.create(probe)));
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
