package dev.dcgan.sampler.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Names a trouble in the log when it begins, and not at every look that finds it again. */
final class LogOnChange {

  private static final Logger log = LoggerFactory.getLogger(ModelWatcher.class);

  // Mutable state
  private Set<String> now = new HashSet<>();
  private Set<String> before = Set.of();

  void nextLook() {
    before = now;
    now = new HashSet<>();
  }

  /** What is only waited for. */
  void inform(String trouble) {
    if (isNew(trouble)) {
      log.info("{}", trouble);
    }
  }

  /** What an operator should put right. */
  void warn(String trouble) {
    if (isNew(trouble)) {
      log.warn("{}", trouble);
    }
  }

  /** What failed; true, unless the last look had it too. */
  boolean report(String trouble, Throwable cause) {
    return report(trouble, trouble, cause);
  }

  /** As {@link #report(String, Throwable)}, where the words may differ from look to look. */
  boolean report(String key, String trouble, Throwable cause) {
    if (!isNew(key)) {
      return false;
    }
    // Messages of the disk say it all; anything else is a fault of ours.
    boolean expected = cause instanceof IOException || cause instanceof UncheckedIOException;
    @Nullable Throwable stack = expected ? null : cause;
    log.error(trouble, stack);
    return true;
  }

  /** What was reported by an earlier look, and was not looked at again by this one. */
  void keep(String key) {
    now.add(key);
  }

  private boolean isNew(String trouble) {
    return now.add(trouble) && !before.contains(trouble);
  }
}
