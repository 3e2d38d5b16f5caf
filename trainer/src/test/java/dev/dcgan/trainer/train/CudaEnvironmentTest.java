package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.trainer.config.Extensions;
import dev.dcgan.trainer.config.Hyperparameters;
import dev.dcgan.trainer.torch.Precision;
import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CudaEnvironmentTest {

  @Test
  void check_deterministic_needsTheWorkspaceOfCublas() {
    assertThatIOException()
        .isThrownBy(() -> CudaEnvironment.check(run(Precision.FP32, true), Map.of()))
        .withMessageContaining("--deterministic")
        .withMessageContaining("CUBLAS_WORKSPACE_CONFIG")
        .withMessageContaining(":4096:8");
    assertThatIOException()
        .isThrownBy(
            () ->
                CudaEnvironment.check(
                    run(Precision.FP32, true), Map.of("CUBLAS_WORKSPACE_CONFIG", ":4096:2")))
        .withMessageContaining(":4096:2");
  }

  @ParameterizedTest
  @ValueSource(strings = {":4096:8", ":16:8"})
  void check_deterministic_takesTheWorkspacesOfPyTorch(String workspace) throws IOException {
    assertThat(
            CudaEnvironment.check(
                run(Precision.FP32, true), Map.of("CUBLAS_WORKSPACE_CONFIG", workspace)))
        .isEmpty();
  }

  @Test
  void check_warnsOfAnOverriddenPrecision() throws IOException {
    assertThat(
            CudaEnvironment.check(run(Precision.FP32, false), Map.of("NVIDIA_TF32_OVERRIDE", "1")))
        .hasValueSatisfying(
            warning -> assertThat(warning).contains("NVIDIA_TF32_OVERRIDE=1", "fp32"));
    assertThat(CudaEnvironment.check(run(Precision.FP32, false), Map.of())).isEmpty();
  }

  private static Hyperparameters run(Precision precision, boolean deterministic) {
    return new Hyperparameters(
        1, 2, 1e-3f, 1e-3f, 0.5f, 0.999f, 0, 0, 1, 1, precision, deterministic, Extensions.NONE);
  }
}
