package dev.dcgan.sampler.runtime;

import java.util.Locale;

/** What runs the network. */
public enum Provider {
  CPU,
  CUDA;

  /** As on the wire, in metrics and on the command line: {@code cpu}, {@code cuda}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
