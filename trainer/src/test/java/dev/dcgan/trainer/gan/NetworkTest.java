package dev.dcgan.trainer.gan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class NetworkTest {

  private static final Architecture MNIST28 = Architecture.mnist28(64, 128);

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void generator_makesImagesInRange() {
    Generator generator = new Generator(manager, MNIST28, 1);

    NDArray images = generator.forward(manager.randomNormal(new Shape(3, 64, 1, 1)));

    assertThat(images.getShape()).isEqualTo(new Shape(3, 1, 28, 28));
    assertThat(images.max().getFloat()).isLessThanOrEqualTo(1);
    assertThat(images.min().getFloat()).isGreaterThanOrEqualTo(-1);
  }

  @Test
  void discriminator_givesOneLogitAnImage() {
    Discriminator discriminator = new Discriminator(manager, MNIST28, 1);

    NDArray logits = discriminator.forward(manager.zeros(new Shape(3, 1, 28, 28)));

    assertThat(logits.getShape()).isEqualTo(new Shape(3, 1, 1, 1));
  }

  @Test
  void mnist28_hasTheArticlesParameters() {
    // weights + biases + scale and shift of each batch normalization
    long generator =
        (64 * 512 * 9 + 512 + 2 * 512)
            + (512 * 256 * 16 + 256 + 2 * 256)
            + (256 * 128 * 9 + 128 + 2 * 128)
            + (128 * 16 + 1);
    long discriminator = (16 * 16 + 16 + 2 * 16) + (16 * 32 * 16 + 32 + 2 * 32) + (32 * 16 + 1);

    assertThat(learned(new Generator(manager, MNIST28, 1))).isEqualTo(generator);
    assertThat(learned(new Discriminator(manager, MNIST28, 1))).isEqualTo(discriminator);
  }

  @Test
  void initialize_drawsEachKindByItsRule() {
    Generator generator = new Generator(manager, MNIST28, 1);

    NDArray weight = array(generator, "04ConvTranspose2d_weight");
    assertThat(weight.mean().getFloat()).isCloseTo(0, within(1e-4f));
    assertThat(weight.square().mean().sqrt().getFloat()).isCloseTo(0.02f, within(1e-4f));
    NDArray bias = array(generator, "04ConvTranspose2d_bias");
    float bound = (float) (1 / Math.sqrt(256 * 16));
    assertThat(bias.abs().max().getFloat()).isBetween(0.9f * bound, bound);
    assertThat(bias.mean().getFloat()).isCloseTo(0, within(0.15f * bound));
    NDArray gamma = array(generator, "05BatchNorm_gamma");
    assertThat(gamma.square().mean().sqrt().getFloat()).isCloseTo(0.02f, within(2e-3f));
    assertThat(gamma.mean().getFloat()).isCloseTo(0, within(5e-3f)); // four standard errors
    assertThat(array(generator, "05BatchNorm_beta").toFloatArray()).containsOnly(0);
    assertThat(array(generator, "05BatchNorm_runningVar").toFloatArray()).containsOnly(1);
  }

  @Test
  void initialize_sameSeed_givesTheSameWeights() {
    float[] weights =
        array(new Discriminator(manager, MNIST28, 5), "01Conv2d_weight").toFloatArray();

    assertThat(array(new Discriminator(manager, MNIST28, 5), "01Conv2d_weight").toFloatArray())
        .isEqualTo(weights);
    assertThat(array(new Discriminator(manager, MNIST28, 6), "01Conv2d_weight").toFloatArray())
        .isNotEqualTo(weights);
  }

  @Test
  void batchNorm_remembersAsPyTorchDoes() {
    Discriminator discriminator = new Discriminator(manager, MNIST28, 1);
    NDArray images = manager.randomUniform(-1, 1, new Shape(4, 1, 28, 28));
    NDArray mean = array(discriminator, "02BatchNorm_runningMean");
    NDArray variance = array(discriminator, "02BatchNorm_runningVar");
    // The first layer's output, channel 0, by the convolution's definition.
    float[] x = channel0(discriminator, images.toFloatArray());

    train(discriminator, images);

    double batchMean = 0;
    for (float value : x) {
      batchMean += value / x.length;
    }
    double sum = 0;
    for (float value : x) {
      sum += (value - batchMean) * (value - batchMean);
    }
    // new = 0.9 old + 0.1 batch; the variance unbiased
    assertThat((double) mean.toFloatArray()[0]).isCloseTo(0.1 * batchMean, within(1e-6));
    assertThat((double) variance.toFloatArray()[0])
        .isCloseTo(0.9 + 0.1 * sum / (x.length - 1), within(1e-5));
  }

  @Test
  void forward_usesTheRunningStatistics_andLeavesThem() {
    Discriminator discriminator = new Discriminator(manager, MNIST28, 1);
    NDArray images = manager.randomUniform(-1, 1, new Shape(4, 1, 28, 28));
    train(discriminator, images);
    float[] mean = array(discriminator, "02BatchNorm_runningMean").toFloatArray();

    float[] all = discriminator.forward(images).toFloatArray();
    float first = discriminator.forward(images.get("0:1")).getFloat();

    // Not on the batch: each image's logit is its own.
    assertThat(first).isCloseTo(all[0], within(1e-5f));
    assertThat(array(discriminator, "02BatchNorm_runningMean").toFloatArray()).isEqualTo(mean);
  }

  /** Runs the layers as training does. */
  private void train(Discriminator discriminator, NDArray images) {
    List<Function> functions = new ArrayList<>(discriminator.functions("discriminator", true));
    functions.add(
        Function.forward(
            List.of("inputs", "weights", "statistics", "constants"),
            "return (self).discriminator(inputs[0], weights, statistics, constants)"));
    TorchScript.run(
        TorchScript.load(manager, functions),
        new NDList(images),
        discriminator.trainable(),
        discriminator.statistics(),
        discriminator.constants());
  }

  /**
   * The first convolution's channel 0: (4, 1, 28, 28), kernel 4, stride 2, to 4 x 13 x 13 values.
   */
  private static float[] channel0(Discriminator discriminator, float[] images) {
    float[] kernel = array(discriminator, "01Conv2d_weight").toFloatArray();
    float bias = array(discriminator, "01Conv2d_bias").toFloatArray()[0];
    float[] y = new float[4 * 13 * 13];
    for (int i = 0; i < y.length; i++) {
      double sum = bias;
      for (int tap = 0; tap < 16; tap++) {
        int row = i / 13 % 13 * 2 + tap / 4;
        int column = i % 13 * 2 + tap % 4;
        sum += (double) kernel[tap] * images[i / 169 * 784 + row * 28 + column];
      }
      y[i] = (float) sum;
    }
    return y;
  }

  private static NDArray array(Network network, String name) {
    return Objects.requireNonNull(network.parameters().get(name), name).getArray();
  }

  private static long learned(Network network) {
    return network.parameters().values().stream()
        .filter(Parameter::requiresGradient)
        .mapToLong(parameter -> parameter.getArray().size())
        .sum();
  }
}
