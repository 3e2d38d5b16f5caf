package dev.dcgan.trainer.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.v1.RunConfig;
import org.junit.jupiter.api.Test;

class PresetTest {

  @Test
  void mnist28_isTheArticles() throws Exception {
    TrainingConfig plan = plan("");

    assertThat(plan.architecture()).isEqualTo(Architecture.mnist28(64, 128));
    assertThat(plan.hyperparameters())
        .isEqualTo(new Hyperparameters(25, 128, 2e-4f, 0.5f, 0.999f, 1));
  }

  @Test
  void mnist28Fast_averagesANarrowerGenerator() throws Exception {
    TrainingConfig plan = plan("mnist28-fast");

    assertThat(plan.architecture()).isEqualTo(Architecture.mnist28Fast(64, 64));
    assertThat(plan.hyperparameters())
        .isEqualTo(new Hyperparameters(10, 128, 1e-3f, 5e-4f, 0.5f, 0.999f, 0, 0.995f, 1, 1));
    assertThat(plan.config().getModel()).isEqualTo("mnist28-fast");
  }

  @Test
  void paper64_isThePapers() throws Exception {
    TrainingConfig plan =
        TrainingConfig.of(RunConfig.newBuilder().setPreset("paper64").setData("x").build());

    assertThat(plan.architecture()).isEqualTo(Architecture.paper(64, 3, 100, 128));
  }

  @Test
  void oneRate_isForBothNetworks_overThePresets() throws Exception {
    TrainingConfig plan =
        TrainingConfig.of(
            RunConfig.newBuilder().setPreset("mnist28-fast").setLearningRate(0.01f).build());

    assertThat(plan.hyperparameters().generatorLearningRate()).isEqualTo(0.01f);
    assertThat(plan.hyperparameters().discriminatorLearningRate()).isEqualTo(0.01f);
  }

  @Test
  void precision_isFloat32_unlessTheConfigSaysOtherwise() throws Exception {
    TrainingConfig tf32 =
        TrainingConfig.of(
            RunConfig.newBuilder().setPrecision("tf32").setDeterministic(true).build());

    assertThat(plan("").config().getPrecision()).isEqualTo("fp32");
    assertThat(plan("").hyperparameters().precision()).isEqualTo(Precision.FP32);
    assertThat(plan("").hyperparameters().deterministic()).isFalse();
    assertThat(tf32.hyperparameters().precision()).isEqualTo(Precision.TF32);
    assertThat(tf32.hyperparameters().deterministic()).isTrue();
  }

  @Test
  void unknownPrecision_isRefusedWithThoseThereAre() {
    assertThatThrownBy(() -> TrainingConfig.of(RunConfig.newBuilder().setPrecision("bf16").build()))
        .hasMessageContaining("precision")
        .hasMessageContaining("'bf16': expected fp32 or tf32");
  }

  @Test
  void unknownPreset_isRefusedWithTheNamesThereAre() {
    assertThatThrownBy(() -> plan("mnist"))
        .hasMessageContaining("'mnist': expected one of mnist28, mnist28-fast, paper64");
  }

  @Test
  void everyArchitecture_isFoundByTheNameThatACheckpointHas() throws Exception {
    for (Preset preset : Preset.values()) {
      Architecture architecture = preset.architecture(64, 3, 16, 8);

      assertThat(Architecture.of(architecture.name(), architecture.shape().channels(), 16, 8))
          .isEqualTo(architecture);
    }
  }

  private static TrainingConfig plan(String preset) throws Exception {
    return TrainingConfig.of(RunConfig.newBuilder().setPreset(preset).build());
  }
}
