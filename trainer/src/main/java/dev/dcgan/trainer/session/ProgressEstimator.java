package dev.dcgan.trainer.session;

import java.time.Duration;

/** How fast a run is and how long it will take, at the pace since it was started or carried on. */
public final class ProgressEstimator {

  private final long firstStep;
  private final long steps;
  private final long start = System.nanoTime();

  /**
   * Starts the clock.
   *
   * @param firstStep done before
   * @param steps of the whole run
   */
  ProgressEstimator(long firstStep, long steps) {
    this.firstStep = firstStep;
    this.steps = steps;
  }

  long steps() {
    return steps;
  }

  /** Seconds from the end of {@code step} to the end of the run. */
  double secondsLeft(long step) {
    double seconds = (System.nanoTime() - start) / 1e9;
    return seconds / Math.max(1, step - firstStep) * (steps - step);
  }

  /** {@link #secondsLeft} for the eye: {@code 2 h 05 min}, {@code 3 min 20 s}. */
  String left(long step) {
    return text(secondsLeft(step));
  }

  /** Seconds for the eye: {@code 2 h 05 min}, {@code 3 min 20 s}. */
  public static String text(double seconds) {
    Duration left = Duration.ofSeconds(Math.round(seconds));
    return left.toHours() > 0
        ? "%d h %02d min".formatted(left.toHours(), left.toMinutesPart())
        : "%d min %02d s".formatted(left.toMinutes(), left.toSecondsPart());
  }
}
