package dev.dcgan.sampler.scheduling;

import java.time.Duration;

/** The queue has no room for more images of a caller; nothing was queued. */
public final class QueueFullException extends Exception {

  private static final long serialVersionUID = 1L;

  private final Duration retryAfter;

  /**
   * A refusal.
   *
   * @param queued images of all callers
   * @param ofCaller those of this caller
   * @param limit of the queue
   */
  public QueueFullException(
      int requested, int queued, int ofCaller, int limit, Duration retryAfter) {
    super(
        "cannot queue %d images: %d images are queued of at most %d, of them %d of this caller; try again in %d ms"
            .formatted(requested, queued, limit, ofCaller, retryAfter.toMillis()));
    this.retryAfter = retryAfter;
  }

  /** Estimates when the images that are queued now will have run. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
