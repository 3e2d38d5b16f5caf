package dev.dcgan.trainer.run;

import java.time.Duration;

/** Estimates how long a run still takes, at its speed since this process started it. */
public final class ProgressEstimator {

  private final long firstStep;
  private final long steps;
  private final long start = System.nanoTime();

  /**
   * Starts the clock.
   *
   * @param firstStep the steps that were done before
   * @param steps the steps of the whole run
   */
  public ProgressEstimator(long firstStep, long steps) {
    this.firstStep = firstStep;
    this.steps = steps;
  }

  /** The steps of the whole run. */
  public long steps() {
    return steps;
  }

  /** Seconds from the end of {@code step} to the end of the run. */
  public double secondsLeft(long step) {
    double seconds = (System.nanoTime() - start) / 1e9;
    return seconds / Math.max(1, step - firstStep) * (steps - step);
  }

  /** {@link #secondsLeft} as text: {@code 2 h 05 min}, {@code 3 min 20 s}. */
  public String left(long step) {
    return text(secondsLeft(step));
  }

  /** Seconds as text: {@code 2 h 05 min}, {@code 3 min 20 s}. */
  public static String text(double seconds) {
    Duration left = Duration.ofSeconds(Math.round(seconds));
    return left.toHours() > 0
        ? "%d h %02d min".formatted(left.toHours(), left.toMinutesPart())
        : "%d min %02d s".formatted(left.toMinutes(), left.toSecondsPart());
  }
}
