package dev.dcgan.sampler.scheduling;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A batch failed. The message, one line, is for the caller; the cause is logged once for all
 * callers of the batch, so nobody needs to log it again.
 */
public final class RunFailedException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final Failure.Kind kind;
  private final Duration retryAfter;

  RunFailedException(
      Failure.Kind kind, String message, Duration retryAfter, @Nullable Throwable cause) {
    super(message, cause, false, false); // Created for every failed batch; its stack tells nothing.
    this.kind = kind;
    this.retryAfter = retryAfter;
  }

  public Failure.Kind kind() {
    return kind;
  }

  /** How long the caller should wait before a retry. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
