package dev.dcgan.faults;

import java.time.Duration;
import java.util.Random;

/** How long the fault tests take and what they do at random: {@code faults.minutes}, seed. */
final class FaultSettings {

  /** The seed of every random decision; without {@code faults.seed} another one in each run. */
  static final long SEED = Long.getLong("faults.seed", System.nanoTime());

  private static final double MINUTES =
      Double.parseDouble(System.getProperty("faults.minutes", "8"));

  // On a busy machine too.
  private static final int MIN_TIMES = 3;

  private FaultSettings() {}

  /** The random decisions of one test, whatever other tests run. */
  static Random random(String test) {
    return new Random(SEED ^ test.hashCode());
  }

  /** A fraction of the time of all tests. */
  static Duration share(double fraction) {
    return Duration.ofMillis(Math.round(MINUTES * 60_000 * fraction));
  }

  /** Time that begins now. */
  static TimeBudget budget(double fraction) {
    return new TimeBudget(System.nanoTime() + share(fraction).toNanos());
  }

  /** Time until an end on the clock of {@link System#nanoTime}. */
  record TimeBudget(long end) {

    boolean isLeft() {
      return end - System.nanoTime() > 0;
    }

    /**
     * Whether a fault is to happen again: for as long as time is left, but a few times at least.
     */
    boolean isLeft(int times) {
      return isLeft() || times < MIN_TIMES;
    }
  }
}
