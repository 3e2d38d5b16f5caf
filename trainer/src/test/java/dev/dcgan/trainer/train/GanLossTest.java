package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
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

    float loss = GanLoss.discriminator(real, fake, 0).getFloat();

    assertThat(loss).isCloseTo(((0.126928f + 1.313262f) / 2 + 0.974077f) / 2, within(1e-5f));
  }

  @Test
  void generator_isTheCrossEntropyAgainstReal() {
    assertThat(GanLoss.generator(logits(0)).getFloat()).isCloseTo(0.693147f, within(1e-6f));
    assertThat(GanLoss.generator(logits(-3, 1)).getFloat())
        .isCloseTo((3.048587f + 0.313262f) / 2, within(1e-5f));
  }

  @Test
  void losses_ofExtremeLogits_stayFinite() {
    NDArray certain = logits(1000, -1000);

    assertThat(GanLoss.generator(certain).getFloat()).isCloseTo(500, within(1e-3f));
    assertThat(GanLoss.discriminator(certain, certain, 0).getFloat()).isCloseTo(500, within(1e-3f));
  }

  @Test
  void score_isTheMeanProbability() {
    // sigmoid(2) = 0.880797, sigmoid(0) = 0.5
    assertThat(GanLoss.score(logits(2, 0)).getFloat()).isCloseTo(0.690399f, within(1e-6f));
  }

  private NDArray logits(float... values) {
    return manager.create(values);
  }
}
