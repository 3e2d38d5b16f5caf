package dev.dcgan.trainer.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.config.Hyperparameters;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExpectedTimeTest {

  /** In batches of 16. */
  @ParameterizedTest
  @CsvSource({"1, 1000, 1", "5, 1000, 5", "5, 40, 3", "100, 1000, 8"})
  void batchesPerStep_areThoseOfTraining_butNotMany(
      int discriminatorSteps, int images, int expected) {
    Hyperparameters hyperparameters =
        new Hyperparameters(1, 16, 1e-3f, 1e-3f, 0.5f, 0.999f, 0, 0, discriminatorSteps, 1);

    assertThat(ExpectedTime.batchesPerStep(hyperparameters, images)).isEqualTo(expected);
  }
}
