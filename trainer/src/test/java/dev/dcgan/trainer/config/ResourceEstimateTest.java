package dev.dcgan.trainer.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIOException;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.torch.Tensor;
import dev.dcgan.trainer.torch.TrainingDevice;
import dev.dcgan.trainer.train.GanNetworks;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResourceEstimateTest {

  private static final long GIB = 1L << 30;

  @Test
  void checkpointBytes_areThoseOfTheTensors() throws IOException {
    for (Architecture architecture :
        List.of(
            Architecture.mnist28(16, 8),
            Architecture.mnist28Fast(8, 4),
            Architecture.paper(32, 3, 10, 8),
            Architecture.paper(64, 1, 10, 4),
            Architecture.mnist28Fast(8, 4).withClasses(3),
            Architecture.paper(32, 3, 10, 8).withClasses(10))) {
      for (float emaDecay : new float[] {0, 0.9f}) {
        Hyperparameters hyperparameters = hyperparameters(4, emaDecay);
        try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
          GanNetworks networks =
              new GanNetworks(
                  manager,
                  architecture,
                  hyperparameters,
                  new Checkpoint.Dataset("none", "00", 4),
                  false,
                  phase -> {});
          long values =
              networks.checkpoint().tensors().values().stream().mapToLong(Tensor::size).sum();

          assertThat(ResourceEstimate.of(architecture, hyperparameters).checkpointBytes())
              .as("%s, EMA %s", architecture.title(), emaDecay)
              .isEqualTo(4 * values);
        }
      }
    }
  }

  @Test
  void memoryBytes_countParametersAndActivations() {
    ResourceEstimate estimate =
        ResourceEstimate.of(Architecture.paper(64, 3, 100, 128), hyperparameters(128, 0));

    // (12.66 + 11.04) million parameters, four times, and 12,288 statistics.
    assertThat(estimate.parameterBytes()).isBetween(370_000_000L, 385_000_000L);
    // G: 2 x (1024 x 16 + 512 x 64 + 256 x 256 + 128 x 1024) + 3 x 4096, D: the same without norm
    // on
    // its first layer, and one logit.
    assertThat(estimate.activationBytes())
        .isEqualTo(4L * 128 * (2 * 245_760 + 12_288 + 2 * 114_688 + 131_072 + 1));
    assertThat(estimate.memoryBytes())
        .isEqualTo(estimate.parameterBytes() + estimate.activationBytes());
  }

  /**
   * The estimate for a run beside its peak resident memory, measured on 2 CPU cores with a few
   * steps and images, in MiB: heap and libraries included, without evaluation.
   */
  @ParameterizedTest
  @CsvSource({
    "mnist28, 8, 0, 8, 322",
    "mnist28, 128, 0, 128, 608",
    "mnist28, 128, 0, 512, 919",
    "mnist28, 512, 0, 16, 1610",
    "mnist28, 8, 0, 2048, 782",
    "mnist28-fast, 64, 0.999, 32, 375",
    "mnist28-fast, 64, 0.999, 512, 751",
    "mnist28-fast, 64, 0.999, 2048, 1633",
    "paper32, 64, 0.999, 64, 511",
    "paper64, 64, 0.999, 64, 1121",
    "paper64, 128, 0.999, 8, 1283",
    "paper64, 16, 0, 64, 485",
    "paper64, 128, 0, 16, 1203",
    "paper64, 128, 0, 64, 1746",
    "paper128, 32, 0, 32, 1195"
  })
  void peakBytes_areNearEveryMeasuredPeak(
      String name, int width, float emaDecay, int batchSize, int measured) {
    int latent = name.startsWith("mnist") ? 64 : 100;
    ResourceEstimate estimate =
        ResourceEstimate.of(
            Architecture.of(name, name.startsWith("mnist") ? 1 : 3, latent, width),
            hyperparameters(batchSize, emaDecay));
    double ratio = (estimate.peakBytes(0) >> 20) / (double) measured;

    assertThat(ratio).isBetween(1.0, 1.9);
    assertThat(estimate.memoryBytes() >> 20).isLessThan(measured);
  }

  @Test
  void estimate_ofTheLargestDocumentedConfigs_isAbove2GiB() {
    for (Architecture architecture :
        List.of(Architecture.paper(64, 3, 100, 512), Architecture.paper(128, 3, 100, 256))) {
      ResourceEstimate estimate = ResourceEstimate.of(architecture, hyperparameters(2, 0));

      assertThat(estimate.checkpointBytes()).isBetween(4_000_000_000L, 5_000_000_000L);
      assertThat(estimate.toString()).contains("GiB a checkpoint");
    }
  }

  @Test
  void requireMemory_refusesWhatCannotFit_withBothSizes() {
    ResourceEstimate estimate = estimate(3 * GIB, 5 * GIB, GIB);

    assertThatIOException()
        .isThrownBy(() -> estimate.requireMemory(8 * GIB - 1, "cuda:0"))
        .withMessageContaining("8.0 GiB")
        .withMessageContaining("3.0 GiB for parameters")
        .withMessageContaining("cuda:0 has 8.0 GiB")
        .withMessageContaining("--batch-size");
    assertThatCode(() -> estimate.requireMemory(8 * GIB, "cuda:0")).doesNotThrowAnyException();
  }

  @Test
  void requireMemory_ofThisMachine_acceptsASmallRun() throws IOException {
    TrainingDevice cpu = TrainingDevice.select("cpu");

    assertThatCode(
            () ->
                ResourceEstimate.of(Architecture.mnist28(16, 8), hyperparameters(16, 0))
                    .requireMemory(cpu))
        .doesNotThrowAnyException();
  }

  @Test
  void requireDisk_countsTheKeptAndTheOneBeingWritten() {
    ResourceEstimate estimate = estimate(GIB, GIB, 2 * GIB);
    Path folder = Path.of("runs");

    assertThatIOException()
        .isThrownBy(() -> estimate.requireDisk(folder, 2, 25, 6 * GIB - 1))
        .withMessageContaining("3 of 2.0 GiB need 6.0 GiB")
        .withMessageContaining("--keep-checkpoints");
    assertThatCode(
            () -> {
              estimate.requireDisk(folder, 2, 25, 6 * GIB);
              // Two epochs write two, and remove none.
              estimate.requireDisk(folder, 1000, 2, 4 * GIB);
            })
        .doesNotThrowAnyException();
  }

  private static ResourceEstimate estimate(long parameters, long activations, long checkpoint) {
    return new ResourceEstimate("paper64", 128, parameters, activations, 0, checkpoint);
  }

  private static Hyperparameters hyperparameters(int batchSize, float emaDecay) {
    return new Hyperparameters(1, batchSize, 2e-4f, 2e-4f, 0.5f, 0.999f, 0, emaDecay, 1, 1);
  }
}
