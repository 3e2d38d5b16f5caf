package dev.dcgan.trainer.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.Gson;
import dev.dcgan.trainer.torch.Precision;
import java.util.EnumSet;
import org.junit.jupiter.api.Test;

class HyperparametersTest {

  @Test
  void fromACheckpointBeforePrecision_areFloat32() {
    Hyperparameters read =
        new Gson()
            .fromJson(
                """
                {"epochs":2,"batchSize":16,"generatorLearningRate":0.001,
                "discriminatorLearningRate":0.001,"beta1":0.5,"beta2":0.999,"labelSmoothing":0.0,
                "emaDecay":0.0,"discriminatorSteps":1,"seed":7}
                """,
                Hyperparameters.class);

    assertThat(read).isEqualTo(new Hyperparameters(2, 16, 1e-3f, 1e-3f, 0.5f, 0.999f, 0, 0, 1, 7));
    assertThat(read.precision()).isEqualTo(Precision.FP32);
    assertThat(read.extensions()).isEqualTo(Extensions.NONE);
  }

  @Test
  void aLastBatchOfOneImage_isLeftOut() {
    Hyperparameters three = new Hyperparameters(1, 3, 1e-3f, 0.5f, 0.999f, 1);

    assertThat(three.imagesPerEpoch(7)).isEqualTo(6);
    assertThat(three.batchesPerEpoch(7)).isEqualTo(2);
    assertThat(three.imagesPerEpoch(8)).as("a last batch of two").isEqualTo(8);
    assertThat(three.batchesPerEpoch(8)).isEqualTo(3);
    assertThat(three.imagesPerEpoch(3)).isEqualTo(3);
    assertThat(three.imagesPerEpoch(1)).isEqualTo(1);
  }

  @Test
  void precisionAndExtensions_areKeptInJson() {
    Hyperparameters tf32 =
        new Hyperparameters(
            1,
            2,
            1e-3f,
            1e-3f,
            0.5f,
            0.999f,
            0,
            0,
            1,
            1,
            Precision.TF32,
            true,
            new Extensions(true, EnumSet.of(Augmentation.CUTOUT, Augmentation.COLOR), true, 0.5f));

    assertThat(new Gson().fromJson(new Gson().toJson(tf32), Hyperparameters.class)).isEqualTo(tf32);
  }
}
