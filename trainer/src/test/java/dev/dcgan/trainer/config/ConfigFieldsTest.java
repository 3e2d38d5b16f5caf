package dev.dcgan.trainer.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Descriptors.FieldDescriptor;
import dev.dcgan.v1.RunConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigFieldsTest {

  @Test
  void all_hasEveryFieldOfTheConfig() {
    assertThat(ConfigFields.ALL)
        .extracting(ConfigField::name)
        .containsExactlyInAnyOrderElementsOf(
            RunConfig.getDescriptor().getFields().stream().map(FieldDescriptor::getName).toList());
  }

  @ParameterizedTest
  @CsvSource({
    "batch_size,the preset's",
    "discriminator_steps,1",
    "epochs,the preset's",
    "seed,1",
    "beta2,0.999",
    "learning_rate,the preset's",
    "images,20000",
  })
  void description_endsWithTheDefault(String name, String expected) {
    assertThat(ConfigFields.ALL)
        .filteredOn(field -> field.name().equals(name))
        .singleElement()
        .extracting(ConfigField::description)
        .asString()
        .endsWith("Default: " + expected);
  }

  @Test
  void conditional_false_isNotRecorded() throws Exception {
    RunConfig unset = TrainingConfig.of(RunConfig.getDefaultInstance()).config();

    assertThat(unset.hasConditional()).isFalse();
    assertThat(TrainingConfig.of(RunConfig.newBuilder().setConditional(false).build()).config())
        .isEqualTo(unset);
    assertThat(
            TrainingConfig.of(RunConfig.newBuilder().setConditional(true).build())
                .withClasses(7)
                .architecture()
                .classes())
        .isEqualTo(7);
  }

  @Test
  void everyDefault_isValid() throws Exception {
    for (Preset preset : Preset.values()) {
      RunConfig.Builder config = RunConfig.newBuilder().setPreset(preset.label);
      if (preset.isPaper()) {
        config.setData("faces");
      }
      TrainingConfig complete = TrainingConfig.of(config.build());

      // A complete config is completed to itself: a run on disk is read again so.
      assertThat(TrainingConfig.of(complete.config())).isEqualTo(complete);
    }
  }
}
