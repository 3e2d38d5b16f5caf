package dev.dcgan.sampler.scheduling;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Logs batches that failed, with a rate limit: one line a minute for each version, reason and
 * outcome, which says how many lines were suppressed since the last one. Thread-safe.
 */
final class FailureLog {

  private static final Logger log = LoggerFactory.getLogger(FailureLog.class);
  private static final Duration INTERVAL = Duration.ofMinutes(1);

  private record Line(long time, int suppressed) {}

  private final LongSupplier nanoClock;

  // Mutable state
  @GuardedBy("this") private final Map<String, Line> lastLines = new HashMap<>();

  FailureLog(LongSupplier nanoClock) {
    this.nanoClock = nanoClock;
  }

  /**
   * A batch failed for good.
   *
   * @param stack logged with its stack trace; null: none
   */
  void failed(String model, Failure failure, int images, int attempts, @Nullable Throwable stack) {
    String reason = failure.kind().reason();
    OptionalInt suppressed = suppressed(model + " " + reason);
    if (suppressed.isPresent()) {
      log.error(
          "batch failed: model={} reason={} images={} attempts={} suppressed={}: {}",
          model,
          reason,
          images,
          attempts,
          suppressed.getAsInt(),
          failure.summary(),
          stack);
    }
  }

  /** A batch succeeded after failures for want of memory. */
  void recovered(String model, int attempts) {
    OptionalInt suppressed = suppressed(model + " recovered");
    if (suppressed.isPresent()) {
      log.warn(
          "batch succeeded on retry: model={} reason={} attempts={} suppressed={}",
          model,
          Failure.Kind.OUT_OF_MEMORY.reason(),
          attempts,
          suppressed.getAsInt());
    }
  }

  /** How many lines were suppressed since the last one; empty: suppress this one too. */
  private synchronized OptionalInt suppressed(String key) {
    long now = nanoClock.getAsLong();
    Line last = lastLines.get(key);
    if (last != null && now - last.time < INTERVAL.toNanos()) {
      lastLines.put(key, new Line(last.time, last.suppressed + 1));
      return OptionalInt.empty();
    }
    lastLines.put(key, new Line(now, 0));
    return OptionalInt.of(last == null ? 0 : last.suppressed);
  }
}
