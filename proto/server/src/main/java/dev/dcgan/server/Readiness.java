package dev.dcgan.server;

import java.util.Optional;

/** Whether a process is ready, or live. Thread-safe. */
@FunctionalInterface
public interface Readiness {

  /** Always ready. */
  Readiness READY = Optional::empty;

  /** The reason why it is not ready, in one line, or empty if it is ready. */
  Optional<String> whyNot();
}
