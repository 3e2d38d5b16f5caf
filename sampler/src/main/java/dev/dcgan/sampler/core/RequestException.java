package dev.dcgan.sampler.core;

import dev.dcgan.sampler.models.NotServedException;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.RunFailedException;
import dev.dcgan.sampler.scheduling.TooLateException;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Why a caller gets no images, as every door tells it in its own words. */
public final class RequestException extends RuntimeException {

  /** What kind of reason it is. */
  public enum Kind {
    /** The request is wrong. */
    INVALID,
    /** There is no such model or version. */
    NOT_FOUND,
    /** Too much is queued, or memory is short; come back later. */
    OVERLOADED,
    /** It could not be done in time, or was not. */
    TOO_LATE,
    /** This replica cannot serve now. */
    UNAVAILABLE,
    /** The version or the repository must be put right first. */
    WRONG_STATE,
    /** This sampler was not started to allow it. */
    FORBIDDEN,
    /** The caller went away. */
    CANCELLED,
    /** A fault of ours, which the log has. */
    FAULT
  }

  private static final long serialVersionUID = 1L;
  private static final Logger log = LoggerFactory.getLogger(RequestException.class);

  private final Kind kind;
  private final String field;
  private final Duration retryAfter;

  private RequestException(Kind kind, String field, String message, Duration retryAfter) {
    super(message, null, false, false); // It is the caller's affair, so nobody needs the stack.
    this.kind = kind;
    this.field = field;
    this.retryAfter = retryAfter;
  }

  /** A field of the request is wrong: {@code message} says what was found and expected. */
  public static RequestException invalid(String field, String message) {
    return new RequestException(Kind.INVALID, field, message, Duration.ZERO);
  }

  public static RequestException of(Kind kind, String message) {
    return new RequestException(kind, "", message, Duration.ZERO);
  }

  /** Too much is under way already; {@code retryAfter} estimates when there will be room. */
  static RequestException overloaded(String message, Duration retryAfter) {
    return new RequestException(Kind.OVERLOADED, "", message, retryAfter);
  }

  /** What a failure means to the caller; a fault of ours is logged here. */
  public static RequestException of(Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof RequestException refusal) {
      return refusal;
    }
    if (cause instanceof QueueFullException full) {
      return overloaded(String.valueOf(full.getMessage()), full.retryAfter());
    }
    if (cause instanceof NotServedException refused) {
      return of(refused);
    }
    if (cause instanceof RunFailedException failed) {
      return of(failed);
    }
    if (cause instanceof TooLateException) {
      return of(Kind.TOO_LATE, String.valueOf(cause.getMessage()));
    }
    if (cause instanceof CancellationException) {
      return of(Kind.CANCELLED, "the call was cancelled");
    }
    log.error("images could not be made", cause);
    return fault();
  }

  /** The log has it already, once for all callers of the batch. */
  private static RequestException of(RunFailedException failed) {
    String message = String.valueOf(failed.getMessage());
    return switch (failed.kind()) {
      case OUT_OF_MEMORY -> overloaded(message, failed.retryAfter());
      case DEVICE_LOST, TIMEOUT -> new RequestException(Kind.UNAVAILABLE, "", message, failed.retryAfter());
      case BAD_MODEL, OTHER, FAULT -> fault();
    };
  }

  private static RequestException fault() {
    return of(Kind.FAULT, "internal error; the server's log has the cause");
  }

  private static RequestException of(NotServedException refused) {
    String message = String.valueOf(refused.getMessage());
    return switch (refused.why()) {
      case AMBIGUOUS -> invalid("model", message);
      case NOT_FOUND -> of(Kind.NOT_FOUND, message);
      case UNAVAILABLE -> of(Kind.UNAVAILABLE, message);
      case WRONG_STATE -> of(Kind.WRONG_STATE, message);
      case FORBIDDEN -> of(Kind.FORBIDDEN, message);
    };
  }

  public Kind kind() {
    return kind;
  }

  /** Of the request, where it is wrong; else empty. */
  public String field() {
    return field;
  }

  /** When to come back, where too much is queued. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
