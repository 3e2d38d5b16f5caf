package dev.dcgan.trainer.gan;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The whole discriminator in training, against PyTorch's operators. */
class DiscriminatorAlgorithmsTest {

  private static final int SEED = 3;

  /** The layers of paper32 and paper64 with 64 channels are computed by Toom-Cook. */
  @ParameterizedTest
  @CsvSource({
    "mnist28, 1, 128, 4",
    "mnist28-fast, 1, 64, 1",
    "mnist28-fast, 1, 64, 7",
    "paper32, 1, 64, 1",
    "paper32, 3, 64, 5",
    "paper64, 3, 64, 2"
  })
  void logitsAndGradients_equalPyTorchs(String name, int channels, int width, int batch) {
    Architecture architecture = Architecture.of(name, channels, 16, width);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      float[] plain = run(manager, architecture, true, batch);
      float[] fast = run(manager, architecture, false, batch);

      assertThat(fast).hasSameSizeAs(plain);
      int images = batch + batch * architecture.shape().values();
      assertClose("logits", fast, plain, 0, batch);
      assertClose("gradient of the images", fast, plain, batch, images);
      assertClose("gradient of the first kernel", fast, plain, images, plain.length);
    }
  }

  private static void assertClose(String what, float[] found, float[] expected, int from, int to) {
    float[] values = Arrays.copyOfRange(expected, from, to);
    float largest = 0;
    for (float value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertThat(largest).isPositive();
    assertThat(Arrays.copyOfRange(found, from, to))
        .as(what)
        .usingComparatorWithPrecision(1e-3f * largest)
        .containsExactly(values);
  }

  /** The logits, and the gradients of their mean in the images and in the first kernel. */
  private static float[] run(NDManager manager, Architecture architecture, boolean plain, int n) {
    Discriminator discriminator = new Discriminator(manager, architecture, SEED, plain);
    int values = architecture.shape().values();
    Shape shape =
        new Shape(
            n,
            architecture.shape().channels(),
            architecture.shape().height(),
            architecture.shape().width());
    List<Function> functions = new ArrayList<>(discriminator.functions("discriminator", true));
    functions.add(
        Function.forward(
            List.of("inputs", "weights", "statistics", "constants"),
            """
            x = torch.requires_grad_(torch.detach(inputs[0]))
            kernel = torch.requires_grad_(torch.detach(weights[0]))
            learned = annotate(List[Tensor], [kernel])
            for i in range(torch.sub(torch.len(weights), 1)):
              _0 = torch.append(learned, weights[torch.add(i, 1)])
            logits = (self).discriminator(x, learned, statistics, constants)
            loss = torch.sum(torch.mul(torch.reshape(logits, [-1]), inputs[1]))
            found = torch.grad([loss], [x, kernel])
            return torch.cat([torch.reshape(torch.detach(logits), [-1]), \
            torch.reshape(unchecked_cast(Tensor, found[0]), [-1]), \
            torch.reshape(unchecked_cast(Tensor, found[1]), [-1])])"""));
    return TorchScript.run(
            TorchScript.load(manager, functions),
            new NDList(
                manager.create(Latents.of(SEED, 1, n * values), shape),
                manager.create(Latents.of(SEED, 2, n))),
            discriminator.trainable(),
            discriminator.statistics(),
            discriminator.constants())
        .toFloatArray();
  }
}
