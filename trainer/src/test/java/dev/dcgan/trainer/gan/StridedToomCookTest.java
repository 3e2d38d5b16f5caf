package dev.dcgan.trainer.gan;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.gan.Architecture.Layer;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against PyTorch's operators: the result, and the gradients of x, weight and bias. */
class StridedToomCookTest {

  private static final List<String> RESULTS = List.of("y", "x", "weight", "bias");

  /** The sizes are those of the large side: the input of a convolution, the output of the other. */
  @ParameterizedTest
  @CsvSource({
    "1, 8, 4, 1",
    "3, 8, 4, 1",
    "5, 16, 4, 1",
    "1, 32, 4, 1",
    "2, 64, 4, 1",
    "1, 128, 4, 1",
    "7, 13, 3, 0",
    "1, 13, 3, 0",
    "3, 13, 4, 0",
    "2, 18, 4, 0",
    "2, 17, 3, 1"
  })
  void resultAndGradients_equalPyTorchs(int batch, int largeSide, int kernel, int padding) {
    Layer layer = new Layer(5, 3, kernel, 2, padding, false);
    int smallSide = layer.convolvedSide(largeSide);
    StridedToomCook algorithm = StridedToomCook.of(layer, smallSide, largeSide);
    String sizes = "[2, 2], [%1$d, %1$d]".formatted(padding);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      assertClose(
          run(manager, algorithm, algorithm.convolution(layer), layer, batch, largeSide, 3, 5),
          run(
              manager,
              algorithm,
              "return torch.conv2d(x, weight, bias, %s, [1, 1], 1)".formatted(sizes),
              layer,
              batch,
              largeSide,
              3,
              5));
      if (layer.outputSide(smallSide) == largeSide) { // no row of the input is left over
        assertClose(
            run(manager, algorithm, algorithm.transposed(layer), layer, batch, smallSide, 5, 3),
            run(
                manager,
                algorithm,
                "return torch.conv_transpose2d(x, weight, bias, %s)".formatted(sizes),
                layer,
                batch,
                smallSide,
                5,
                3));
      }
    }
  }

  /** The values of {@link #RESULTS}; the sizes are those of the input and of the kernel. */
  private static float[][] run(
      NDManager manager,
      StridedToomCook algorithm,
      String body,
      Layer layer,
      int batch,
      int side,
      int first,
      int second) {
    List<String> arguments = new ArrayList<>(List.of("x", "weight", "bias"));
    arguments.addAll(StridedToomCook.CONSTANTS);
    int kernel = layer.kernel();
    NDList inputs =
        new NDList(
            values(manager, 1, batch, layer.in(), side, side),
            values(manager, 2, first, second, kernel, kernel),
            values(manager, 3, layer.out()));
    inputs.addAll(algorithm.constants(manager));
    inputs.add(values(manager, 4, 1 << 17));
    float[][] results = new float[RESULTS.size()][];
    for (int i = 0; i < results.length; i++) {
      results[i] =
          TorchScript.run(
                  TorchScript.load(
                      manager,
                      List.of(
                          Function.ofTensors("layer", arguments, body),
                          Function.forward(List.of("inputs"), result(RESULTS.get(i))))),
                  inputs)
              .toFloatArray();
    }
    return results;
  }

  private static String result(String which) {
    String y =
        """
        x = torch.requires_grad_(torch.detach(inputs[0]))
        weight = torch.requires_grad_(torch.detach(inputs[1]))
        bias = torch.requires_grad_(torch.detach(inputs[2]))
        y = (self).layer(x, weight, bias, inputs[3], inputs[4], inputs[5])
        probe = torch.reshape(torch.slice(inputs[6], 0, 0, torch.numel(y)), torch.size(y))
        """;
    return which.equals("y")
        ? y + "return torch.contiguous(torch.detach(y))"
        : y
            + """
            loss = torch.mean(torch.mul(y, probe))
            found = torch.grad([loss], [%s])
            return torch.contiguous(unchecked_cast(Tensor, found[0]))"""
                .formatted(which);
  }

  private static NDArray values(NDManager manager, int seed, long... shape) {
    JniUtils.setGradMode(false);
    JniUtils.setGraphExecutorOptimize(false);
    Shape sizes = new Shape(shape);
    return manager.create(Latents.of(11, seed, (int) sizes.size()), sizes);
  }

  /** To 1e-4 of the largest value. */
  private static void assertClose(float[][] found, float[][] expected) {
    for (int i = 0; i < RESULTS.size(); i++) {
      float[] values = expected[i];
      float largest = 0;
      for (float value : values) {
        largest = Math.max(largest, Math.abs(value));
      }
      assertThat(largest).isPositive();
      assertThat(found[i])
          .as(RESULTS.get(i))
          .usingComparatorWithPrecision(1e-4f * largest)
          .containsExactly(values);
    }
  }
}
