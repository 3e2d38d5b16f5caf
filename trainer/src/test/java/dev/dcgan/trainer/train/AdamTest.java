package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.Network;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AdamTest {

  private static final float RATE = 0.01f;
  private static final float BETA1 = 0.5f;
  private static final float BETA2 = 0.999f;

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());
  private final Generator network = new Generator(manager, Architecture.mnist28(8, 8), 1);
  private final Adam adam = new Adam(manager, network, RATE, BETA1, BETA2);
  private final PtSymbolBlock script = TorchScript.load(manager, script(adam));

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void update_movesEveryParameter_asThePaperSays() {
    List<float[]> initial = network.trainable().stream().map(NDArray::toFloatArray).toList();
    List<List<float[]>> gradients = new ArrayList<>();

    for (int step = 0; step < 5; step++) {
      gradients.add(gradients(step));
      update(gradients.get(step));
    }

    assertThat(initial).hasSize(14);
    for (int p = 0; p < initial.size(); p++) {
      int parameter = p;
      List<float[]> own = gradients.stream().map(step -> step.get(parameter)).toList();
      float[] actual = network.trainable().get(p).toFloatArray();
      for (int i = 0; i < actual.length; i++) {
        assertThat((double) actual[i])
            .as("parameter %d", p)
            .isCloseTo(reference(initial.get(p)[i], own, i), within(1e-6));
      }
    }
  }

  @Test
  void update_returnsTheNormOfAllGradientsTogether() {
    List<float[]> gradients = gradients(7);
    double squares = 0;
    for (float[] gradient : gradients) {
      for (float value : gradient) {
        squares += (double) value * value;
      }
    }

    assertThat((double) update(gradients))
        .isPositive()
        .isCloseTo(Math.sqrt(squares), withinPercentage(0.001));
  }

  @Test
  void setSteps_countsTheUpdatesOfACheckpoint() {
    adam.setSteps(41);

    update(gradients(0));

    assertThat(adam.step().getFloat()).isEqualTo(42);
  }

  /** Of ten updates the last four: full until the sixth, then 4/4, 3/4, 2/4 and 1/4 of the rate. */
  @ParameterizedTest
  @CsvSource({"0, 1", "5, 1", "6, 1", "7, 0.75", "9, 0.25", "10, 0", "50, 0"})
  void update_withDecay_movesByAFallingRate(int before, float expected) {
    Adam decaying = new Adam(manager, network, RATE, BETA1, BETA2, 10, 4);
    decaying.setSteps(before);
    NDArray weight = network.trainable().get(0);
    float[] start = weight.toFloatArray();
    float[] constant = moves(new Adam(manager, network, RATE, BETA1, BETA2), before, start);

    float[] moves = moves(decaying, before, start);

    for (int i = 0; i < 20; i++) {
      assertThat((double) moves[i]).isCloseTo(expected * (double) constant[i], within(1e-7));
    }
  }

  /** What one update changes; the weights are as before. */
  private float[] moves(Adam optimizer, int before, float[] start) {
    optimizer.setSteps(before);
    NDArray weight = network.trainable().get(0);
    NDList gradients = new NDList();
    gradients(3)
        .forEach(
            gradient ->
                gradients.add(
                    manager.create(
                        gradient, network.trainable().get(gradients.size()).getShape())));
    TorchScript.run(
            TorchScript.load(manager, script(optimizer)),
            network.trainable(),
            gradients,
            optimizer.means(),
            optimizer.variances(),
            new NDList(optimizer.step()))
        .close();
    float[] moves = weight.toFloatArray();
    for (int i = 0; i < moves.length; i++) {
      moves[i] -= start[i];
    }
    Network.assign(weight, start);
    return moves;
  }

  private static List<Function> script(Adam optimizer) {
    return List.of(
        optimizer.function("adam"),
        Function.forward(
            List.of("weights", "gradients", "means", "variances", "step"),
            "return (self).adam(weights, gradients, means, variances, step[0])"));
  }

  /** A gradient for each parameter. */
  private List<float[]> gradients(int step) {
    List<float[]> gradients = new ArrayList<>();
    for (NDArray weight : network.trainable()) {
      gradients.add(Latents.of(step, gradients.size(), (int) weight.size()));
    }
    return gradients;
  }

  private float update(List<float[]> gradients) {
    NDList arrays = new NDList();
    for (float[] gradient : gradients) {
      arrays.add(manager.create(gradient, network.trainable().get(arrays.size()).getShape()));
    }
    return TorchScript.run(
            script,
            network.trainable(),
            arrays,
            adam.means(),
            adam.variances(),
            new NDList(adam.step()))
        .getFloat();
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
