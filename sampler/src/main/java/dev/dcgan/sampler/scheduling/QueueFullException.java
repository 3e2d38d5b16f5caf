package dev.dcgan.sampler.scheduling;

import java.time.Duration;

/** The queue has no room for a request's images; nothing was queued. */
public final class QueueFullException extends Exception {

  private static final long serialVersionUID = 1L;

  private final Duration retryAfter;

  public QueueFullException(int requested, int queued, int limit, Duration retryAfter) {
    super(
        "cannot queue %d images: %d images are queued of at most %d; try again in %d ms"
            .formatted(requested, queued, limit, retryAfter.toMillis()));
    this.retryAfter = retryAfter;
  }

  /** Estimates when the images that are queued now will have run. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
