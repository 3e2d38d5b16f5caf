package dev.dcgan.sampler.models;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.function.Predicate;

/**
 * Exponential backoff between attempts to load a version that is not at fault, such as when memory
 * is short: the first delay is one interval, each further one twice as long, up to {@link
 * #MAX_DELAY}. A version whose files have changed may be loaded at once. Not thread-safe.
 */
final class LoadBackoff<K> {

  static final Duration MAX_DELAY = Duration.ofMinutes(5);

  /** It is too early to load a version again; the cause is the last failure. */
  static final class TooEarlyException extends IOException {

    private static final long serialVersionUID = 1L;

    private final Duration left;

    TooEarlyException(Duration left, Throwable lastFailure) {
      super(
          "cannot load it yet; the next attempt is due in %d ms".formatted(left.toMillis()),
          lastFailure);
      this.left = left;
    }

    Duration left() {
      return left;
    }
  }

  /** A failed attempt; the next one is due {@code delay} after {@code time}. */
  private record Failed(String fingerprint, Throwable cause, Duration delay, long time) {}

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
   * @throws TooEarlyException it may not
   */
  void requireDue(K version, String fingerprint) throws TooEarlyException {
    Failed last = failed.get(version);
    if (last == null || !last.fingerprint.equals(fingerprint)) {
      failed.remove(version);
      return;
    }
    long left = last.delay.toNanos() - (nanoClock.getAsLong() - last.time);
    if (left > 0) {
      throw new TooEarlyException(Duration.ofNanos(left), last.cause);
    }
  }

  /** Records that a version could not be loaded. */
  void failed(K version, String fingerprint, Throwable cause) {
    Failed last = failed.get(version);
    Duration delay = last == null ? interval : last.delay.multipliedBy(2);
    failed.put(
        version,
        new Failed(
            fingerprint,
            cause,
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
