package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Limits the log entries that clients can cause to one per {@link #INTERVAL}. Thread-safe. */
final class LimitedLog {

  static final Duration INTERVAL = Duration.ofMinutes(1);

  private final LongSupplier nanoTime;

  // Mutable state
  @GuardedBy("this") private @Nullable Long last;

  @GuardedBy("this") private long unlogged;

  LimitedLog(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
  }

  /** Returns the number of entries that were left out since the last one; empty: leave it out. */
  synchronized OptionalLong next() {
    long now = nanoTime.getAsLong();
    if (last != null && now - last < INTERVAL.toNanos()) {
      unlogged++;
      return OptionalLong.empty();
    }
    long others = unlogged;
    unlogged = 0;
    last = now;
    return OptionalLong.of(others);
  }
}
