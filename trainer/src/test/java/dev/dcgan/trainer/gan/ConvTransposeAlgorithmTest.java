package dev.dcgan.trainer.gan;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConvTransposeAlgorithmTest {

  @Test
  void fastestOnCpu_isOtherThanPlainWhereItPays() {
    assertThat(fastest(Architecture.mnist28(64, 128)))
        .containsExactly(
            ConvTransposeAlgorithm.GEMM,
            ConvTransposeAlgorithm.TOOM_COOK,
            ConvTransposeAlgorithm.TOOM_COOK_STRIDE_2,
            ConvTransposeAlgorithm.GEMM_COL2IM);
    assertThat(fastest(Architecture.mnist28(64, 64)))
        .containsExactly(
            ConvTransposeAlgorithm.GEMM,
            ConvTransposeAlgorithm.TOOM_COOK,
            ConvTransposeAlgorithm.NATIVE_SEPARATE_BIAS,
            ConvTransposeAlgorithm.GEMM_COL2IM);
    assertThat(fastest(Architecture.paper(64, 3, 100, 128)))
        .containsExactly(
            ConvTransposeAlgorithm.GEMM,
            ConvTransposeAlgorithm.TOOM_COOK_STRIDE_2,
            ConvTransposeAlgorithm.TOOM_COOK_STRIDE_2,
            ConvTransposeAlgorithm.TOOM_COOK_STRIDE_2,
            ConvTransposeAlgorithm.GEMM_COL2IM);
  }

  /**
   * The whole generator in training, each layer as in a network: images, batch statistics and each
   * gradient, to 1e-4 of the largest value of its tensor. float32 holds 6e-8; the sums here have up
   * to 10^5 terms, and Toom-Cook's differences lose a digit or two.
   */
  @ParameterizedTest
  @CsvSource({"mnist28,1,64,128", "mnist28-fast,1,64,64", "paper32,3,16,16"})
  void generator_equalsPlainWithinFloatTolerance(String name, int channels, int latent, int width) {
    Architecture architecture = Architecture.of(name, channels, latent, width);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Map<String, float[]> plain = trained(manager, architecture, true);
      Map<String, float[]> fast = trained(manager, architecture, false);

      assertThat(fast.keySet()).isEqualTo(plain.keySet());
      plain.forEach(
          (tensor, values) ->
              assertThat(distance(Objects.requireNonNull(fast.get(tensor)), values))
                  .as(tensor)
                  .isLessThan(1e-4));
    }
  }

  /** Images, statistics and gradients of one pass forward and back, by name. */
  private static Map<String, float[]> trained(
      NDManager manager, Architecture architecture, boolean plain) {
    Generator generator = new Generator(manager, architecture, 3, plain);
    int n = 16;
    int latent = architecture.latentSize();
    NDArray z = manager.create(Latents.of(5, 0, n * latent), new Shape(n, latent, 1, 1));
    // Against any fixed direction; the scales of mnist28 start near 0, and would leave nothing.
    generator.parameters().forEach(ConvTransposeAlgorithmTest::spread);
    NDArray probe =
        manager.create(
            Latents.of(6, 0, n * architecture.shape().values()),
            new Shape(
                n,
                architecture.shape().channels(),
                architecture.shape().height(),
                architecture.shape().width()));
    List<Function> functions = new ArrayList<>(generator.functions("generator", true));
    functions.add(
        Function.forward(
            List.of("inputs", "weights", "statistics", "constants"),
            """
            leaves = annotate(List[Tensor], [])
            for i in range(torch.len(weights)):
              _0 = torch.append(leaves, torch.requires_grad_(torch.detach(weights[i])))
            images = (self).generator(inputs[0], leaves, statistics, constants)
            found = torch.grad([torch.mean(torch.mul(images, inputs[1]))], leaves)
            parts = [torch.reshape(torch.detach(images), [-1])]
            for i in range(torch.len(weights)):
              _1 = torch.append(parts, torch.reshape(unchecked_cast(Tensor, found[i]), [-1]))
            return torch.cat(parts)"""));
    float[] all =
        TorchScript.run(
                TorchScript.load(manager, functions),
                new NDList(z, probe),
                generator.trainable(),
                generator.statistics(),
                generator.constants())
            .toFloatArray();
    Map<String, float[]> results = new LinkedHashMap<>();
    int at = (int) probe.size();
    results.put("images", Arrays.copyOf(all, at));
    for (Map.Entry<String, Parameter> entry : generator.parameters().entrySet()) {
      NDArray array = entry.getValue().getArray();
      if (!entry.getValue().requiresGradient()) {
        results.put(entry.getKey(), array.toFloatArray());
        continue;
      }
      if (!isBiasBeforeBatchNorm(architecture, entry.getKey())) {
        results.put(entry.getKey(), Arrays.copyOfRange(all, at, at + (int) array.size()));
      }
      at += (int) array.size();
    }
    assertThat(at).isEqualTo(all.length);
    return results;
  }

  private static void spread(String name, Parameter parameter) {
    if (parameter.getType() == Parameter.Type.GAMMA) {
      int n = (int) parameter.getArray().size();
      float[] values = Latents.of(8, 0, n);
      for (int i = 0; i < n; i++) {
        values[i] = 1 + 0.1f * values[i];
      }
      Network.assign(parameter.getArray(), values);
    }
  }

  /**
   * Batch normalization takes the mean away: the gradient is 0, and what is computed is rounding.
   */
  private static boolean isBiasBeforeBatchNorm(Architecture architecture, String name) {
    int block = Integer.parseInt(name.substring(0, 2));
    int layer = (block - 1) / 3; // A transposed convolution, batch normalization, ReLU.
    return name.endsWith("_bias") && architecture.generator().get(layer).batchNorm();
  }

  private static double distance(float[] a, float[] b) {
    assertThat(a).hasSameSizeAs(b);
    double difference = 0;
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      difference = Math.max(difference, Math.abs((double) a[i] - b[i]));
      largest = Math.max(largest, Math.abs((double) b[i]));
    }
    assertThat(largest).isPositive();
    return difference / largest;
  }

  private static List<ConvTransposeAlgorithm> fastest(Architecture architecture) {
    List<ConvTransposeAlgorithm> algorithms = new ArrayList<>();
    int side = 1;
    for (Layer layer : architecture.generator()) {
      algorithms.add(ConvTransposeAlgorithm.fastestOnCpu(layer, side));
      side = layer.outputSide(side);
    }
    return algorithms;
  }
}
