package dev.dcgan.sampler.runtime;

import java.util.Locale;

/** The execution provider of ONNX Runtime that runs the network. */
public enum Provider {
  CPU,
  CUDA;

  /** {@code cpu} or {@code cuda}, as on the wire, in metrics and on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
