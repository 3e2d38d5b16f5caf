package dev.dcgan.sampler.runtime;

import java.io.IOException;
import org.junit.jupiter.api.Assumptions;

/** Support for tests that run only where CUDA works. */
public final class CudaDevice {

  private CudaDevice() {}

  /** Skips the calling test if CUDA cannot be used. */
  public static void assume() {
    try {
      CudaProbe.require(0);
    } catch (IOException e) {
      Assumptions.abort("no CUDA device: " + e.getMessage());
    }
  }

  static RuntimeSettings settings() {
    return new RuntimeSettings(Provider.CUDA, 0, 1, false, 0);
  }
}
