package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.GradientCollector;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.net.Discriminator;
import dev.dcgan.trainer.net.Generator;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class AdamTest {

  private static final float RATE = 0.01f;
  private static final float BETA1 = 0.5f;
  private static final float BETA2 = 0.999f;

  @Test
  void update_followsThePaper() {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Discriminator network = new Discriminator(manager, Architecture.mnist28(8, 8), 1);
      NDArray weight = network.parameters().values().iterator().next().getArray();
      Adam adam = new Adam(manager, network, RATE, BETA1, BETA2);
      float[] initial = weight.toFloatArray();

      List<float[]> gradients = new ArrayList<>();
      for (int step = 0; step < 5; step++) {
        gradients.add(backward(manager, network, weight, step));
        adam.update();
      }

      float[] actual = weight.toFloatArray();
      for (int i = 0; i < actual.length; i++) {
        assertThat((double) actual[i]).isCloseTo(reference(initial[i], gradients, i), within(1e-6));
      }
    }
  }

  /** Of a generator, whose gradients come through permuted weights, every parameter. */
  @Test
  void update_movesEveryParameter_byItsOwnGradient() {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Generator network = new Generator(manager, Architecture.mnist28(8, 8), 1);
      Adam adam = new Adam(manager, network, RATE, BETA1, BETA2);
      try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
        collector.backward(
            network.forward(manager.randomNormal(new Shape(4, 8, 1, 1)), true).square().sum());
      }
      Map<String, float[]> before = new LinkedHashMap<>();
      Map<String, float[]> gradients = new LinkedHashMap<>();
      network
          .parameters()
          .forEach(
              (name, parameter) -> {
                if (parameter.requiresGradient()) {
                  before.put(name, parameter.getArray().toFloatArray());
                  gradients.put(name, parameter.getArray().getGradient().toFloatArray());
                }
              });

      adam.update();

      assertThat(before).hasSize(14);
      before.forEach(
          (name, values) -> {
            NDArray weight = Objects.requireNonNull(network.parameters().get(name)).getArray();
            float[] actual = weight.toFloatArray();
            for (int i = 0; i < actual.length; i++) {
              assertThat((double) actual[i])
                  .as(name)
                  .isCloseTo(
                      reference(values[i], List.of(Objects.requireNonNull(gradients.get(name))), i),
                      within(1e-6));
            }
            assertThat(weight.getGradient().toFloatArray()).as(name).containsOnly(0);
          });
    }
  }

  @Test
  void update_clearsTheGradients() {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Discriminator network = new Discriminator(manager, Architecture.mnist28(8, 8), 1);
      NDArray weight = network.parameters().values().iterator().next().getArray();
      Adam adam = new Adam(manager, network, RATE, BETA1, BETA2);
      assertThat(backward(manager, network, weight, 0)).doesNotContain(0);

      adam.update();

      assertThat(weight.getGradient().toFloatArray()).containsOnly(0);
    }
  }

  @Test
  void update_returnsTheNormOfAllGradientsTogether() {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Discriminator network = new Discriminator(manager, Architecture.mnist28(8, 8), 1);
      NDArray weight = network.parameters().values().iterator().next().getArray();
      Adam adam = new Adam(manager, network, RATE, BETA1, BETA2);
      backward(manager, network, weight, 0);
      double squares = 0;
      for (Parameter parameter : network.parameters().values()) {
        if (parameter.requiresGradient()) {
          for (float value : parameter.getArray().getGradient().toFloatArray()) {
            squares += (double) value * value;
          }
        }
      }

      double norm = adam.update().getFloat();

      assertThat(norm).isPositive().isCloseTo(Math.sqrt(squares), withinPercentage(0.001));
    }
  }

  /** Puts a gradient on every parameter; returns the given one's. */
  private static float[] backward(
      NDManager manager, Discriminator network, NDArray weight, int step) {
    NDArray pictures = manager.randomUniform(-1, 1, new Shape(4, 1, 28, 28));
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray loss = network.forward(pictures, true).mul(step + 1).sum();
      collector.backward(loss);
    }
    return weight.getGradient().toFloatArray();
  }

  /** Algorithm 1 of Kingma and Ba 2015 on one weight, in double. */
  private static double reference(double w, List<float[]> gradients, int i) {
    double m = 0;
    double v = 0;
    for (int t = 1; t <= gradients.size(); t++) {
      double g = gradients.get(t - 1)[i];
      m = BETA1 * m + (1 - BETA1) * g;
      v = BETA2 * v + (1 - BETA2) * g * g;
      double mHat = m / (1 - Math.pow(BETA1, t));
      double vHat = v / (1 - Math.pow(BETA2, t));
      w -= RATE * mHat / (Math.sqrt(vHat) + 1e-8);
    }
    return w;
  }
}
