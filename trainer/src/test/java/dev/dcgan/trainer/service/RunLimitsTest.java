package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.v1.RunConfig;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class RunLimitsTest {

  private static final long GIB = 1L << 30;

  @Test
  void everyLimitThatIsExceeded_isNamed_withBothNumbers() throws Exception {
    TrainingConfig config =
        config(
            RunConfig.newBuilder()
                .setEpochs(100_000)
                .setImages(1_000_000)
                .setWidth(512)
                .setBatchSize(65_536)
                .setEvaluationImages(100_000));

    assertThat(RunLimits.DEFAULT.violations(config))
        .extracting(ConfigViolation::field)
        .containsExactly("epochs", "images", "width", "batch_size", "evaluation_images");
    assertThat(RunLimits.DEFAULT.violations(config))
        .extracting(ConfigViolation::description)
        .allMatch(text -> text.matches("(?s)[0-9]+: expected at most [0-9]+.*"));
  }

  @Test
  void theDefaultsOfEveryPreset_fitInto4GiB() throws Exception {
    for (String preset : new String[] {"mnist28", "mnist28-fast", "paper64", "photo64"}) {
      RunConfig.Builder config = RunConfig.newBuilder().setPreset(preset);
      if (preset.endsWith("64")) {
        config.setData("images");
      }

      // Up to a quarter of the heap, a sixteenth of this machine's memory, is for images.
      long images = Runtime.getRuntime().maxMemory() / 4;
      assertThat(limits(4 * GIB - (GIB >> 2) + images, -1).violations(config(config)))
          .as(preset)
          .isEmpty();
    }
  }

  @Test
  void aRunThatNeedsMoreMemory_isRefused_withTheNumbers() throws Exception {
    RunConfig.Builder large =
        RunConfig.newBuilder().setImages(70_000).setWidth(256).setBatchSize(1024).setDevice("cpu");

    assertThat(limits(GIB, -1).violations(config(large)))
        .singleElement()
        .returns("batch_size", ConfigViolation::field)
        .satisfies(
            wrong ->
                assertThat(wrong.description())
                    .contains("1024", "width 256", "1.0 GiB", "smaller batch_size")
                    .matches("(?s).*needs about [0-9.]+ GiB of memory.*"));
  }

  @Test
  void theFeaturesOfAnEvaluation_count() throws Exception {
    RunConfig.Builder config =
        RunConfig.newBuilder().setImages(2000).setDevice("cpu").setEvaluationImages(100);
    long memory = config(config).resources().peakBytes(config(config).imageBytes()) + (1 << 20);
    assertThat(limits(memory, -1).violations(config(config))).isEmpty();

    assertThat(limits(memory, -1).violations(config(config.setEvaluationImages(50_000))))
        .extracting(ConfigViolation::field)
        .containsExactly("batch_size");

    long heap = Runtime.getRuntime().maxMemory();
    assumeTrue(heap < 8 * GIB);
    config.setFeatures("inception.onnx").setEvaluationImages(100_000);
    assertThat(limits(1L << 50, -1).violations(config(config)))
        .extracting(ConfigViolation::field)
        .containsExactly("evaluation_images");
  }

  @Test
  void onAGpu_itsMemoryCounts() throws Exception {
    RunConfig.Builder large = RunConfig.newBuilder().setImages(2000).setBatchSize(1024);

    assertThat(limits(8 * GIB, GIB).violations(config(large)))
        .singleElement()
        .satisfies(wrong -> assertThat(wrong.description()).contains("GPU memory", "1.0 GiB"));
    assertThat(limits(8 * GIB, GIB).violations(config(large.setDevice("cpu")))).isEmpty();
    assertThat(limits(8 * GIB, 8 * GIB).violations(config(large.setDevice("cuda")))).isEmpty();
  }

  @Test
  void drawnImages_mustFillABatch() throws Exception {
    RunConfig.Builder few = RunConfig.newBuilder().setImages(100).setBatchSize(128);

    assertThat(RunLimits.DEFAULT.violations(config(few)))
        .containsExactly(
            new ConfigViolation("batch_size", "128: expected at most 100, the number of images"));
    assertThat(RunLimits.DEFAULT.violations(config(few.setBatchSize(100)))).isEmpty();
  }

  @Test
  void drawnImages_mustFitIntoTheHeap() throws Exception {
    long heap = Runtime.getRuntime().maxMemory();
    int images = (int) Math.min(1_000_000, heap / 1000);
    assumeTrue(images < 1_000_000);

    assertThat(limits(1L << 50, -1).violations(config(RunConfig.newBuilder().setImages(images))))
        .extracting(ConfigViolation::field)
        .containsExactly("images");
  }

  private static TrainingConfig config(RunConfig.Builder config) throws Exception {
    return TrainingConfig.of(config.build());
  }

  /** With the largest values of the config. */
  private static RunLimits limits(long host, long gpu) {
    return new RunLimits(
        100_000,
        1_000_000,
        512,
        65_536,
        100_000,
        3,
        OptionalInt.empty(),
        OptionalInt.empty(),
        OptionalLong.empty(),
        OptionalInt.empty(),
        OptionalInt.empty(),
        OptionalLong.of(host),
        gpu < 0 ? OptionalLong.empty() : OptionalLong.of(gpu));
  }
}
