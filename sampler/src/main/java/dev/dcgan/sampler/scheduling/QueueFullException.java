package dev.dcgan.sampler.scheduling;

import java.time.Duration;

/** Too many images wait already; nothing was queued. */
public final class QueueFullException extends Exception {

  private static final long serialVersionUID = 1L;

  private final Duration retryAfter;

  public QueueFullException(int asked, int queued, int limit, Duration retryAfter) {
    super(
        "%d images are queued of at most %d, no room for %d more; try again in %d ms"
            .formatted(queued, limit, asked, retryAfter.toMillis()));
    this.retryAfter = retryAfter;
  }

  /** When, at the rate measured, what is queued now will be done. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
