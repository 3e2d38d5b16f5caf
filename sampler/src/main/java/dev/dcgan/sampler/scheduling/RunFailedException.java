package dev.dcgan.sampler.scheduling;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A batch could not be run; the message, one line, is for the caller. The log has the cause, once
 * for all callers, so nobody needs to log it again.
 */
public final class RunFailedException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final Failure.Kind kind;
  private final Duration retryAfter;

  RunFailedException(
      Failure.Kind kind, String message, Duration retryAfter, @Nullable Throwable cause) {
    super(message, cause, false, false); // Made for every batch; the stack says nothing.
    this.kind = kind;
    this.retryAfter = retryAfter;
  }

  public Failure.Kind kind() {
    return kind;
  }

  /** When to come back. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
