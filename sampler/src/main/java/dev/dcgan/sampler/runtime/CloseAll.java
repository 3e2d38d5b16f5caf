package dev.dcgan.sampler.runtime;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Closes several resources even if one fails. */
final class CloseAll {

  private CloseAll() {}

  /** Runs all; returns the first failure, with the later ones as suppressed. */
  static Optional<RuntimeException> of(List<Runnable> closes) {
    @Nullable RuntimeException first = null;
    for (Runnable close : closes) {
      try {
        close.run();
      } catch (RuntimeException e) {
        if (first == null) {
          first = e;
        } else {
          first.addSuppressed(e);
        }
      }
    }
    return Optional.ofNullable(first);
  }
}
