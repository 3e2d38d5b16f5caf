package dev.dcgan.server;

import java.util.Optional;

/** Whether to send calls here, as load balancers ask. Thread-safe. */
@FunctionalInterface
public interface Readiness {

  /** Always. */
  Readiness READY = Optional::empty;

  /** Why not, in one line; empty: ready. */
  Optional<String> whyNot();
}
