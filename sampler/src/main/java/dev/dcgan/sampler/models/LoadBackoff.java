package dev.dcgan.sampler.models;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/**
 * When a version that could not be loaded may be tried again: at first after one interval, then
 * after twice as long each time, up to {@link #MAX_DELAY}; at once where its files have changed.
 * For versions that are not at fault, as where memory was short. Not thread-safe.
 */
final class LoadBackoff<K> {

  static final Duration MAX_DELAY = Duration.ofMinutes(5);

  /** It is too early to load a version again; the cause is what failed the last time. */
  static final class TooEarlyException extends IOException {

    private static final long serialVersionUID = 1L;

    private final Duration left;

    TooEarlyException(Duration left, Throwable lastFailure) {
      super("the next attempt is in %d ms".formatted(left.toMillis()), lastFailure);
      this.left = left;
    }

    Duration left() {
      return left;
    }
  }

  /** An attempt that failed, and when the next one is due. */
  private record Failed(String fingerprint, Throwable why, Duration delay, long at) {}

  private final Duration interval;
  private final LongSupplier nanoClock;

  // Mutable state
  private final Map<K, Failed> failed = new HashMap<>();

  LoadBackoff(Duration interval, LongSupplier nanoClock) {
    this.interval = interval;
    this.nanoClock = nanoClock;
  }

  /**
   * Requires that a version may be loaded now.
   *
   * @param fingerprint of its files
   */
  void requireDue(K version, String fingerprint) throws TooEarlyException {
    Failed last = failed.get(version);
    if (last == null || !last.fingerprint.equals(fingerprint)) {
      failed.remove(version);
      return;
    }
    long left = last.delay.toNanos() - (nanoClock.getAsLong() - last.at);
    if (left > 0) {
      throw new TooEarlyException(Duration.ofNanos(left), last.why);
    }
  }

  /** Remembers that a version could not be loaded. */
  void failed(K version, String fingerprint, Throwable why) {
    Failed last = failed.get(version);
    Duration delay = last == null ? interval : last.delay.multipliedBy(2);
    failed.put(
        version,
        new Failed(
            fingerprint,
            why,
            delay.compareTo(MAX_DELAY) > 0 ? MAX_DELAY : delay,
            nanoClock.getAsLong()));
  }

  void succeeded(K version) {
    failed.remove(version);
  }

  void forget(Predicate<K> versions) {
    failed.keySet().removeIf(versions);
  }
}
