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

/** Why a request is refused or fails; each protocol maps the code once. */
public final class RequestException extends RuntimeException {

  /** The kind of reason. */
  public enum Code {
    /** A field of the request is invalid. */
    INVALID,
    /** There is no such model or version. */
    NOT_FOUND,
    /** Too much is queued, or memory is short; try again later. */
    OVERLOADED,
    /** The deadline passed, or cannot be met. */
    TOO_LATE,
    /** This replica cannot serve now. */
    UNAVAILABLE,
    /** The version or the repository must be repaired first. */
    WRONG_STATE,
    /** This sampler was started without what allows it. */
    FORBIDDEN,
    /** The client cancelled the request, or is gone. */
    CANCELLED,
    /** A fault of this program; its log has the cause. */
    FAULT
  }

  private static final long serialVersionUID = 1L;
  private static final Logger log = LoggerFactory.getLogger(RequestException.class);

  // Over gRPC it is part of the metadata, of which clients accept 8 KiB. It may quote a request.
  private static final int MAX_MESSAGE = 600;

  private final Code code;
  private final String field;
  private final Duration retryAfter;

  private RequestException(Code code, String field, String message, Duration retryAfter) {
    // The client's fault, so the log needs no stack trace.
    super(oneShortLine(message), null, false, false);
    this.code = code;
    this.field = field;
    this.retryAfter = retryAfter;
  }

  private static String oneShortLine(String message) {
    return (message.length() > MAX_MESSAGE ? message.substring(0, MAX_MESSAGE) + "..." : message)
        .replaceAll("\\p{Cntrl}", "?");
  }

  /** A field is invalid: {@code message} says what was found and what was expected. */
  public static RequestException invalid(String field, String message) {
    return new RequestException(Code.INVALID, field, message, Duration.ZERO);
  }

  public static RequestException of(Code code, String message) {
    return new RequestException(code, "", message, Duration.ZERO);
  }

  /** Too much is queued; {@code retryAfter} estimates when there is room. */
  static RequestException overloaded(String message, Duration retryAfter) {
    return new RequestException(Code.OVERLOADED, "", message, retryAfter);
  }

  /** What a failure means to the client; a fault of this program is logged here. */
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
      return of(Code.TOO_LATE, String.valueOf(cause.getMessage()));
    }
    if (cause instanceof CancellationException) {
      return of(Code.CANCELLED, "the request was cancelled");
    }
    log.error("images could not be made", cause);
    return fault();
  }

  /** The log has the cause already, once for all requests of the batch. */
  private static RequestException of(RunFailedException failed) {
    String message = String.valueOf(failed.getMessage());
    return switch (failed.kind()) {
      case OUT_OF_MEMORY -> overloaded(message, failed.retryAfter());
      case DEVICE_LOST, TIMEOUT ->
          new RequestException(Code.UNAVAILABLE, "", message, failed.retryAfter());
      case BAD_MODEL, OTHER, FAULT -> fault();
    };
  }

  private static RequestException fault() {
    return of(Code.FAULT, "internal error; the server's log has the cause");
  }

  private static RequestException of(NotServedException refused) {
    String message = String.valueOf(refused.getMessage());
    return switch (refused.why()) {
      case AMBIGUOUS -> invalid("model", message);
      case NOT_FOUND -> of(Code.NOT_FOUND, message);
      case UNAVAILABLE -> of(Code.UNAVAILABLE, message);
      case WRONG_STATE -> of(Code.WRONG_STATE, message);
      case FORBIDDEN -> of(Code.FORBIDDEN, message);
    };
  }

  public Code code() {
    return code;
  }

  /** The invalid field of the request; empty for other codes. */
  public String field() {
    return field;
  }

  /** When to try again; zero: unknown. */
  public Duration retryAfter() {
    return retryAfter;
  }
}
