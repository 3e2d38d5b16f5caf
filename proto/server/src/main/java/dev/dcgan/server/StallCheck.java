package dev.dcgan.server;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Cancels responses that clients do not read in time. Time in which this process was suspended, by
 * a container's freezer or SIGSTOP, does not count, because clients could not read then. For one
 * thread, which calls {@link #run} every {@link #INTERVAL}.
 */
public final class StallCheck implements Runnable {

  public static final Duration INTERVAL = Duration.ofSeconds(1);

  // A busy machine or a garbage collection delays a check by less.
  private static final Duration MAX_DELAY = Duration.ofSeconds(5);

  private final UnreadResponses responses;
  private final LongSupplier nanoTime;

  // Mutable state
  private long last;

  /**
   * A check of responses.
   *
   * @param nanoTime {@link System#nanoTime}
   */
  public StallCheck(UnreadResponses responses, LongSupplier nanoTime) {
    this.responses = responses;
    this.nanoTime = nanoTime;
    last = nanoTime.getAsLong();
  }

  @Override
  public void run() {
    long now = nanoTime.getAsLong();
    Duration passed = Duration.ofNanos(now - last);
    last = now;
    if (passed.compareTo(INTERVAL.plus(MAX_DELAY)) > 0) {
      responses.extend(passed);
    }
    responses.cancelStalled();
  }
}
