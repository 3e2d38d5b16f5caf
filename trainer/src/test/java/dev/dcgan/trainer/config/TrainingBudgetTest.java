package dev.dcgan.trainer.config;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.v1.RunConfig;
import java.util.List;
import org.junit.jupiter.api.Test;

class TrainingBudgetTest {

  @Test
  void fewStepsAndImages_areNamedWithWhatToUse() throws Exception {
    List<String> warnings = paper64(25, 128).warnings(700);

    assertThat(warnings).hasSize(2);
    assertThat(warnings.get(0))
        .contains("700 images", "--batch-size 128", "150 steps in 25 epochs")
        .contains("below about 1000", "--epochs 167", "--batch-size 16");
    assertThat(warnings.get(1)).contains("700 images", "1000", "--augment diffaugment");
  }

  @Test
  void augmentedImages_mayBeFewer_butMoreAreBetter() throws Exception {
    RunConfig photos =
        RunConfig.newBuilder().setPreset("photo64").setAugment("diffaugment").setData("x").build();

    assertThat(TrainingConfig.of(photos).warnings(700))
        .singleElement()
        .asString()
        .endsWith("use more images");
  }

  @Test
  void batchesBelow16_areNotProposed() throws Exception {
    assertThat(paper64(5, 128).warnings(1_000)).singleElement().asString().doesNotContain("or --");
  }

  @Test
  void enoughOfBoth_warnsOfNothing() throws Exception {
    assertThat(paper64(25, 128).warnings(60_000)).isEmpty();
  }

  @Test
  void mnist28Fast_needsFewerSteps() {
    Hyperparameters epoch = new Hyperparameters(1, 128, 1e-3f, 0.5f, 0.999f, 1);

    assertThat(TrainingBudget.warnings(Architecture.mnist28Fast(64, 64), epoch, 469, 60_000))
        .isEmpty();
    assertThat(TrainingBudget.warnings(Architecture.mnist28(64, 64), epoch, 469, 60_000))
        .hasSize(1);
  }

  private static TrainingConfig paper64(int epochs, int batchSize) throws Exception {
    return TrainingConfig.of(
        RunConfig.newBuilder()
            .setPreset("paper64")
            .setData("x")
            .setEpochs(epochs)
            .setBatchSize(batchSize)
            .build());
  }
}
