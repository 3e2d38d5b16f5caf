package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.trainer.torch.TrainingDevice;
import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchmarkTest {

  /** Shared fakes save a forward pass of the generator. */
  @Test
  void operationsPerImage_countsEveryProduct() {
    // By hand, multiplications: the generator's layers 294912, 18874368, 10616832, 346112; the
    // discriminator's 43264, 204800, 512. Without gradients for z and for images.
    double generator = 3 * 294912d + 4 * (18874368d + 10616832d + 346112d);
    double shared = 2 * 294912d + 3 * (18874368d + 10616832d + 346112d);
    double discriminator = 6 * 43264d + 8 * (204800d + 512d);
    Architecture mnist28 = Architecture.mnist28(64, 128);

    assertThat(Benchmark.operationsPerImage(mnist28, false))
        .isCloseTo(2 * (generator + discriminator), within(0.5));
    assertThat(Benchmark.operationsPerImage(mnist28, true))
        .isCloseTo(2 * (shared + discriminator), within(0.5));
  }

  /** With shared fakes the last batch of a step updates both networks, those before it one. */
  @ParameterizedTest
  @CsvSource({
    "1, 'batch to the device,D and G step'",
    "3, 'batch to the device,D step,D and G step'"
  })
  void step_hasSoManyDiscriminatorUpdates(int batchesPerStep, String phases) throws IOException {
    Hyperparameters hyperparameters =
        new Hyperparameters(
            1,
            2,
            1e-3f,
            1e-3f,
            0.5f,
            0.999f,
            0,
            0,
            3,
            1,
            Precision.FP32,
            false,
            new Extensions(false, Set.of(), true, 0));
    try (Benchmark benchmark =
        new Benchmark(
            TrainingDevice.select("cpu"),
            Architecture.mnist28(8, 4),
            hyperparameters,
            batchesPerStep,
            false)) {
      assertThat(benchmark.measure(1).milliseconds()).containsOnlyKeys(phases.split(","));
    }
  }
}
