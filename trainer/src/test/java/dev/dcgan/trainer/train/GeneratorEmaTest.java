package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.Network;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorEmaTest {

  /** (1 + s) / (10 + s) is 2/11, 3/12 and 4/13 at first: the third is above the decay of 0.3. */
  @ParameterizedTest
  @ValueSource(strings = {"01ConvTranspose2d_weight", "02BatchNorm_runningMean"})
  void update_followsTheLaw_ofWeightsAndStatistics(String name) {
    Architecture architecture = Architecture.mnist28(8, 4);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      Generator generator = new Generator(manager, architecture, 1);
      NDArray weight = array(generator, name);
      fill(weight, 1);
      GeneratorEma ema = new GeneratorEma(manager, architecture, generator, 0.3f, false);
      assertThat(array(ema.generator(), name).toFloatArray()).containsOnly(1);
      PtSymbolBlock script =
          TorchScript.load(
              manager,
              List.of(
                  ema.function(),
                  Function.forward(
                      List.of("targets", "sources", "step"),
                      "return (self).average(targets, sources, step[0])")));
      double expected = 1;
      double[] decays = {2 / 11d, 3 / 12d, 0.3, 0.3};

      for (int step = 1; step <= decays.length; step++) {
        fill(weight, 10 * step);
        TorchScript.run(
            script,
            name.contains("running") ? ema.generator().statistics() : ema.generator().trainable(),
            name.contains("running") ? generator.statistics() : generator.trainable(),
            new NDList(manager.create((float) step)));
        expected = decays[step - 1] * expected + (1 - decays[step - 1]) * 10 * step;

        for (float value : array(ema.generator(), name).toFloatArray()) {
          assertThat((double) value).isCloseTo(expected, within(1e-5));
        }
      }
    }
  }

  private static void fill(NDArray array, float value) {
    float[] values = new float[(int) array.size()];
    Arrays.fill(values, value);
    Network.assign(array, values);
  }

  private static NDArray array(Generator generator, String name) {
    return Objects.requireNonNull(generator.parameters().get(name), name).getArray();
  }
}
