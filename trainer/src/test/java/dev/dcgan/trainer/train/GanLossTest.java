package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.torch.TorchScript;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class GanLossTest {

  private final NDManager manager = NDManager.newBaseManager(Device.cpu());

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void discriminator_isTheMeanOfBothCrossEntropies() {
    // -ln sigmoid(2) = 0.126928, -ln sigmoid(-1) = 1.313262; -ln(1 - sigmoid(0.5)) = 0.974077
    NDArray real = logits(2, -1);
    NDArray fake = logits(0.5f, 0.5f);

    float loss = discriminator(real, fake, 0);

    assertThat(loss).isCloseTo(((0.126928f + 1.313262f) / 2 + 0.974077f) / 2, within(1e-5f));
  }

  @Test
  void discriminator_smoothing_movesTheTargetOfReals() {
    // softplus(2) = 2.126928: 0.9 * 0.126928 + 0.1 * 2.126928 = 0.326928
    float loss = discriminator(logits(2), logits(0.5f), 0.1f);

    assertThat(loss).isCloseTo((0.326928f + 0.974077f) / 2, within(1e-5f));
  }

  @Test
  void generator_isTheCrossEntropyAgainstReal() {
    assertThat(generator(logits(0))).isCloseTo(0.693147f, within(1e-6f));
    assertThat(generator(logits(-3, 1))).isCloseTo((3.048587f + 0.313262f) / 2, within(1e-5f));
  }

  @Test
  void losses_ofExtremeLogits_stayFinite() {
    NDArray certain = logits(1000, -1000);

    assertThat(generator(certain)).isCloseTo(500, within(1e-3f));
    assertThat(discriminator(certain, certain, 0)).isCloseTo(500, within(1e-3f));
  }

  @Test
  void score_isTheMeanProbability() {
    // sigmoid(2) = 0.880797, sigmoid(0) = 0.5
    assertThat(run(GanLoss.score(), logits(2, 0))).isCloseTo(0.690399f, within(1e-6f));
  }

  private float discriminator(NDArray real, NDArray fake, float smoothing) {
    return run(GanLoss.discriminator(smoothing), real, fake);
  }

  private float generator(NDArray fake) {
    return run(GanLoss.generator(), fake);
  }

  private float run(Function function, NDArray... logits) {
    String arguments =
        IntStream.range(0, logits.length)
            .mapToObj("logits[%d]"::formatted)
            .collect(Collectors.joining(", "));
    Function forward =
        Function.forward(
            List.of("logits"), "return (self).%s(%s)".formatted(function.name(), arguments));
    return TorchScript.run(
            TorchScript.load(manager, List.of(function, forward)), new NDList(logits))
        .getFloat();
  }

  private NDArray logits(float... values) {
    return manager.create(values);
  }
}
