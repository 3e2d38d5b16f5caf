package dev.dcgan.trainer.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.model.ImageShape;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Precision;
import dev.dcgan.v1.RunConfig;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
        .isEqualTo(
            new Hyperparameters(
                10,
                32,
                1e-3f,
                5e-4f,
                0.5f,
                0.999f,
                0,
                0.999f,
                1,
                1,
                Precision.FP32,
                false,
                new Extensions(false, Set.of(), true, 0.5f)));
    assertThat(plan.config().getModel()).isEqualTo("mnist28-fast");
  }

  @Test
  void paper64_isThePapers() throws Exception {
    TrainingConfig plan =
        TrainingConfig.of(RunConfig.newBuilder().setPreset("paper64").setData("x").build());

    assertThat(plan.architecture()).isEqualTo(Architecture.paper(64, 3, 100, 128));
  }

  @Test
  void photo64_mirrorsImagesOfANarrowerNetwork_unlessToldOtherwise() throws Exception {
    RunConfig photos = RunConfig.newBuilder().setPreset("photo64").setData("x").build();
    TrainingConfig plan = TrainingConfig.of(photos);
    TrainingConfig partly =
        TrainingConfig.of(
            photos.toBuilder().setAugment("cutout, color").setMirror(false).setSize(32).build());

    assertThat(plan.architecture()).isEqualTo(Architecture.paper(64, 3, 100, 64));
    assertThat(plan.hyperparameters().extensions().mirror()).isTrue();
    assertThat(plan.hyperparameters().extensions().augmentations()).isEmpty();
    assertThat(partly.architecture().shape().height()).isEqualTo(32);
    assertThat(partly.hyperparameters().extensions().mirror()).isFalse();
    assertThat(partly.hyperparameters().extensions().augmentations())
        .containsExactly(Augmentation.COLOR, Augmentation.CUTOUT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "colour | 'colour': expected none, diffaugment, or some of color,translation,cutout",
        "color,color | 'color,color': expected none",
        "color, | 'color,': expected none",
        "none,color | 'none,color': expected none"
      })
  void wrongAugmentations_areRefusedWithThoseThereAre(String augment, String message) {
    assertThatThrownBy(() -> TrainingConfig.of(RunConfig.newBuilder().setAugment(augment).build()))
        .hasMessageContaining(message);
  }

  @Test
  void wrongFakesAndDecay_areRefusedTogether() {
    RunConfig wrong = RunConfig.newBuilder().setFakes("both").setLearningRateDecay(1.5f).build();

    assertThatThrownBy(() -> TrainingConfig.of(wrong))
        .hasMessageContaining("'both': expected fresh or shared")
        .hasMessageContaining("1.5: expected 0 to 1");
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
        .hasMessageContaining("'mnist': expected one of mnist28, mnist28-fast, paper64, photo64");
  }

  @ParameterizedTest
  @CsvSource({
    "28, 28, 1, mnist28-fast, 28, 1",
    "8, 8, 1, mnist28-fast, 28, 1",
    "28, 28, 3, photo64, 32, 3",
    "32, 32, 3, photo64, 32, 3",
    "32, 32, 1, photo64, 32, 1",
    "30, 48, 3, photo64, 64, 3",
    "64, 64, 1, photo64, 64, 1",
  })
  void withoutAPreset_itFollowsTheImages(
      int height, int width, int channels, String preset, int size, int networkChannels)
      throws Exception {
    TrainingConfig plan =
        followed(RunConfig.getDefaultInstance(), new ImageShape(height, width, channels));

    assertThat(plan.config().getPreset()).isEqualTo(preset);
    assertThat(plan.architecture().shape()).isEqualTo(new ImageShape(size, size, networkChannels));
    assertThat(plan.config().getModel()).isEqualTo(preset);
  }

  @ParameterizedTest
  @CsvSource({
    "28, 60000, 10",
    "28, 6000, 100",
    "28, 10000000, 3",
    "64, 4500, 284",
    "64, 10, 20000"
  })
  void withoutAPreset_theEpochsFollowTheNumberOfImages(int side, int images, int epochs) {
    RunConfig auto = RunConfig.newBuilder().setPreset("auto").build();
    RunConfig fixed = auto.toBuilder().setEpochs(7).build();
    ImageShape shape = new ImageShape(side, side, 1);

    assertThat(TrainingConfig.followImages(auto, shape, images, 0).getEpochs()).isEqualTo(epochs);
    assertThat(TrainingConfig.followImages(fixed, shape, images, 0).getEpochs()).isEqualTo(7);
  }

  @ParameterizedTest
  @CsvSource({
    "28, 60000, 10, true, 5",
    "28, 6000, 10, true, 50",
    "28, 5000, 10, true, 60",
    "28, 4999, 10, false, 120",
    "28, 60000, 1, false, 10",
    "28, 60000, 0, false, 10",
    "64, 4500, 2, true, 284",
  })
  void withoutAPreset_classesWithEnoughImagesAreUsed(
      int side, int images, int classes, boolean conditional, int epochs) {
    RunConfig config =
        TrainingConfig.followImages(
            RunConfig.getDefaultInstance(), new ImageShape(side, side, 1), images, classes);

    assertThat(config.getConditional()).isEqualTo(conditional);
    assertThat(config.getEpochs()).isEqualTo(epochs);
  }

  @ParameterizedTest
  @CsvSource({"64, 2133, diffaugment", "64, 2136, ''", "28, 1001, ''", "28, 1000, diffaugment"})
  void withoutAPreset_imagesThatAreSeenOftenAreAugmented(int side, int images, String augment) {
    ImageShape shape = new ImageShape(side, side, 1);
    RunConfig refused = RunConfig.newBuilder().setAugment("none").build();

    assertThat(
            TrainingConfig.followImages(RunConfig.getDefaultInstance(), shape, images, 0)
                .getAugment())
        .isEqualTo(augment);
    assertThat(TrainingConfig.followImages(refused, shape, images, 0).getAugment())
        .isEqualTo("none");
  }

  @Test
  void classes_areLeftOut_ifRefusedOrNotKnownOfTheFirstWeights() {
    ImageShape shape = new ImageShape(28, 28, 1);
    RunConfig refused = RunConfig.newBuilder().setConditional(false).build();
    RunConfig continued = RunConfig.newBuilder().setInitFrom("a-run").build();
    RunConfig named = RunConfig.newBuilder().setPreset("mnist28-fast").build();

    assertThat(List.of(refused, continued, named))
        .allSatisfy(
            config ->
                assertThat(TrainingConfig.followImages(config, shape, 60_000, 10).getConditional())
                    .isFalse());
  }

  @Test
  void optionsAndNamedPresets_comeBeforeTheImages() throws Exception {
    ImageShape color = new ImageShape(64, 64, 3);
    RunConfig.Builder named = RunConfig.newBuilder().setPreset("mnist28-fast");
    RunConfig.Builder grey = RunConfig.newBuilder().setChannels(1).setSize(128);
    RunConfig.Builder small = RunConfig.newBuilder().setSize(28);

    assertThat(followed(named.build(), color).config().getPreset()).isEqualTo("mnist28-fast");
    assertThat(followed(grey.build(), color).architecture())
        .isEqualTo(Architecture.paper(128, 1, 100, 64));
    assertThat(followed(small.build(), color).config().getPreset()).isEqualTo("mnist28-fast");
  }

  @Test
  void sizeOrChannelsOfPaper64_chooseIt_withoutImages() throws Exception {
    RunConfig.Builder size = RunConfig.newBuilder().setData("x").setSize(32);
    RunConfig.Builder rgb = RunConfig.newBuilder().setData("x").setChannels(3);

    assertThat(TrainingConfig.of(size.build()).config().getPreset()).isEqualTo("paper64");
    assertThat(TrainingConfig.of(rgb.build()).config().getPreset()).isEqualTo("paper64");
  }

  @Test
  void aRecordedPreset_isKept_whereNoneIsNamed() {
    RunConfig recorded =
        RunConfig.newBuilder()
            .setPreset("paper64")
            .setConditional(true)
            .setAugment("diffaugment")
            .setSize(32)
            .setChannels(3)
            .build();
    RunConfig named = RunConfig.newBuilder().setPreset("mnist28").build();

    RunConfig images = RunConfig.newBuilder().setData("x").build();

    assertThat(TrainingConfig.followRecord(images, recorded))
        .isEqualTo(recorded.toBuilder().setData("x").build());
    assertThat(TrainingConfig.followRecord(named, recorded)).isEqualTo(named);
  }

  @Test
  void recordedClasses_areNotKept_ofDrawnDigits() {
    RunConfig recorded = RunConfig.newBuilder().setPreset("mnist28").setConditional(true).build();

    assertThat(
            TrainingConfig.followRecord(RunConfig.getDefaultInstance(), recorded).hasConditional())
        .isFalse();
  }

  private static TrainingConfig followed(RunConfig requested, ImageShape images) throws Exception {
    RunConfig ofData = requested.toBuilder().setData("x").build();
    return TrainingConfig.of(TrainingConfig.followImages(ofData, images, 1000, 0));
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
