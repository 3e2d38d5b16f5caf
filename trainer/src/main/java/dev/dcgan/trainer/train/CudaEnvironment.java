package dev.dcgan.trainer.train;

import dev.dcgan.trainer.config.Hyperparameters;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Checks environment variables of NVIDIA's libraries that override a run's settings. */
public final class CudaEnvironment {

  private static final String WORKSPACE = "CUBLAS_WORKSPACE_CONFIG";
  // In deterministic mode PyTorch refuses matrix products without one of these values.
  private static final Set<String> DETERMINISTIC_WORKSPACES = Set.of(":4096:8", ":16:8");
  private static final String TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE";

  private CudaEnvironment() {}

  /**
   * Checks the environment of a run on a CUDA device.
   *
   * @return a warning if the environment overrides the run's precision
   * @throws IOException if the run is to be deterministic and cuBLAS is not in this environment
   */
  public static Optional<String> check(
      Hyperparameters hyperparameters, Map<String, String> environment) throws IOException {
    String workspace = environment.getOrDefault(WORKSPACE, "");
    if (hyperparameters.deterministic() && !DETERMINISTIC_WORKSPACES.contains(workspace)) {
      throw new IOException(
          "cannot train with --deterministic: %s is '%s' in the environment; expected :4096:8 or :16:8"
              .formatted(WORKSPACE, workspace));
    }
    return Optional.ofNullable(environment.get(TF32_OVERRIDE))
        .map(
            value ->
                "%s=%s in the environment overrides --precision %s"
                    .formatted(TF32_OVERRIDE, value, hyperparameters.precision().label()));
  }
}
