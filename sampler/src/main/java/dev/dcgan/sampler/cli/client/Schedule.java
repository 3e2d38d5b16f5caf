package dev.dcgan.sampler.cli.client;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Which call of a load test is next, and when it is due. Thread-safe; times are in ns since the
 * test began.
 */
final class Schedule {

  /** No call. */
  static final long NONE = -1;

  private static final double SECOND = TimeUnit.SECONDS.toNanos(1);

  /** 0: a closed loop, in which a call is due as soon as a caller is idle. */
  private final double callsPerSecond;

  /** No call starts from then on. */
  private final long end;

  private final long calls;

  // Mutable state
  private final AtomicLong next = new AtomicLong();

  private Schedule(double callsPerSecond, long end, long calls) {
    this.callsPerSecond = callsPerSecond;
    this.end = end;
    this.calls = calls;
  }

  static Schedule of(LoadPlan<?> plan) {
    double rate = plan.callsPerSecond();
    long end = plan.warmUp().plus(plan.duration()).toNanos();
    return rate == 0
        ? new Schedule(rate, end, Long.MAX_VALUE)
        : new Schedule(
            rate, end + plan.timeout().toNanos(), (long) Math.ceil(rate * (end / SECOND)));
  }

  /** Takes the next call, due or not; {@link #NONE}: there is none. */
  long take(long now) {
    return take(now, Long.MAX_VALUE);
  }

  /** Takes the next call if it is due; {@link #NONE}: it is not, or there is none. */
  long takeDue(long now) {
    return take(now, now);
  }

  /** When the call is due; in a closed loop {@code now}. */
  long due(long number, long now) {
    return callsPerSecond == 0 ? now : (long) (number / callsPerSecond * SECOND);
  }

  /** Takes the next call of an open loop at any time; {@link #NONE}: there is none. */
  long takeRemaining() {
    return callsPerSecond == 0 ? NONE : take(0, Long.MAX_VALUE);
  }

  private long take(long now, long latest) {
    for (long number = next.get(); now < end && number < calls; number = next.get()) {
      if (due(number, now) > latest) {
        return NONE;
      }
      if (next.compareAndSet(number, number + 1)) {
        return number;
      }
    }
    return NONE;
  }
}
