package dev.dcgan.sampler.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Logs a problem when a look at the repository finds it first, and not again at each later look
 * that still finds it.
 */
final class LogOnChange {

  private static final Logger log = LoggerFactory.getLogger(LogOnChange.class);

  // Mutable state
  private Set<String> current = new HashSet<>();
  private Set<String> previous = Set.of();

  void nextLook() {
    previous = current;
    current = new HashSet<>();
  }

  /** Logs what is waited for. */
  void info(String problem) {
    if (isNew(problem)) {
      log.info("{}", problem);
    }
  }

  /** Logs what an operator should fix. */
  void warn(String problem) {
    if (isNew(problem)) {
      log.warn("{}", problem);
    }
  }

  /** Logs a failure; false if the previous look had it too. */
  boolean error(String problem, Throwable cause) {
    return error(problem, problem, cause);
  }

  /** As {@link #error(String, Throwable)}, if the message may differ from look to look. */
  boolean error(String key, String problem, Throwable cause) {
    if (!isNew(key)) {
      return false;
    }
    // The message tells enough of an I/O error; anything else is a bug in this program.
    boolean expected = cause instanceof IOException || cause instanceof UncheckedIOException;
    @Nullable Throwable stack = expected ? null : cause;
    log.error(problem, stack);
    return true;
  }

  /** Keeps a problem that an earlier look logged and this one did not check. */
  void keep(String key) {
    current.add(key);
  }

  private boolean isNew(String problem) {
    return current.add(problem) && !previous.contains(problem);
  }
}
