package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.data.DataLoader;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RandomnessTest {

  private final Randomness randomness = new Randomness(7);

  @Test
  void order_visitsEveryImageOnce() {
    int[] order = randomness.order(1, 1000);

    int[] sorted = order.clone();
    Arrays.sort(sorted);
    assertThat(sorted).isEqualTo(IntStream.range(0, 1000).toArray());
    assertThat(order).isNotEqualTo(sorted);
  }

  @Test
  void order_differsBetweenEpochsAndSeeds_andRepeats() {
    assertThat(randomness.order(1, 100))
        .isEqualTo(new Randomness(7).order(1, 100))
        .isNotEqualTo(randomness.order(2, 100))
        .isNotEqualTo(new Randomness(8).order(1, 100));
  }

  @Test
  void order_putsEveryImageEverywhereEquallyOften() {
    int[] atFront = new int[5];
    for (int epoch = 0; epoch < 5000; epoch++) {
      atFront[randomness.order(epoch, 5)[0]]++;
    }
    // 1000 expected, standard deviation 28; the draws are fixed, so this never flickers.
    assertThat(IntStream.of(atFront)).allMatch(count -> count > 880 && count < 1120);
  }

  @Test
  void noise_dependsOnThePositionAlone_notOnTheBatch() {
    float[] whole = randomness.generatorNoise(0, 8, 16);
    float[] tail = randomness.generatorNoise(5, 3, 16);

    assertThat(tail).isEqualTo(Arrays.copyOfRange(whole, 5 * 16, 8 * 16));
  }

  @Test
  void noise_hasTheDiscriminatorsLatentsThenTheGenerators() {
    // 100 images an epoch: the third epoch's batch from 40 on has seen 240.
    float[] noise = randomness.noise(16, false, 100).draw(3, 40, 5);

    assertThat(noise).hasSize(5 * randomness.noise(16, false, 100).size());
    assertThat(Arrays.copyOf(noise, 80)).isEqualTo(randomness.discriminatorNoise(240, 5, 16));
    assertThat(Arrays.copyOfRange(noise, 80, 160)).isEqualTo(randomness.generatorNoise(240, 5, 16));
  }

  @Test
  void mirroring_isOfHalfTheImages_othersInEachEpoch() {
    DataLoader.Mirroring mirroring = randomness.mirroring(1000);
    long first = IntStream.range(0, 1000).filter(i -> mirroring.isMirrored(1, i)).count();
    long both =
        IntStream.range(0, 1000)
            .filter(i -> mirroring.isMirrored(1, i) && mirroring.isMirrored(2, i))
            .count();

    // 500 and 250 expected; the draws are fixed, so this never flickers.
    assertThat(first).isBetween(440L, 560L);
    assertThat(both).isBetween(200L, 300L);
    // Place 1000 of an epoch is place 0 of the next.
    assertThat(mirroring.isMirrored(2, 7)).isEqualTo(mirroring.isMirrored(1, 1007));
  }

  @Test
  void streams_drawDifferently() {
    assertThat(randomness.generatorNoise(0, 1, 8))
        .isNotEqualTo(randomness.discriminatorNoise(0, 1, 8))
        .isNotEqualTo(randomness.sampleLatents(1, 8));
    assertThat(randomness.generatorWeights()).isNotEqualTo(randomness.discriminatorWeights());
  }
}
