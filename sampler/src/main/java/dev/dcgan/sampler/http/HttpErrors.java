package dev.dcgan.sampler.http;

import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.server.HttpCall;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Maps the reasons why requests fail to HTTP, in one line of text. */
final class HttpErrors {

  private HttpErrors() {}

  static void refuse(HttpCall call, RequestException reason) throws IOException {
    String message = String.valueOf(reason.getMessage());
    switch (reason.code()) {
      case INVALID -> call.text(400, withParameter(reason.field(), message));
      case NOT_FOUND -> call.text(404, message);
      case OVERLOADED -> retryLater(call, 429, reason.retryAfter(), message);
      case TOO_LATE -> call.text(504, message);
      case UNAVAILABLE, CANCELLED -> retryLater(call, 503, reason.retryAfter(), message);
      case WRONG_STATE -> call.text(409, message);
      case FORBIDDEN -> call.text(403, message);
      case FAULT -> call.text(500, message);
    }
  }

  /** In whole seconds, one or more. */
  private static void retryLater(HttpCall call, int status, Duration retryAfter, String message)
      throws IOException {
    long seconds = retryAfter.plusNanos(TimeUnit.SECONDS.toNanos(1) - 1).toSeconds();
    call.header("Retry-After", Long.toString(Math.max(1, seconds)));
    call.text(status, message);
  }

  /** The message begins with the parameter, by its name in the URL. */
  private static String withParameter(String field, String message) {
    if (field.equals("first_index")) {
      return message.replace(field, "first");
    }
    if (field.equals("labels")) {
      return message.startsWith("label") ? message : "label: " + message;
    }
    return message.startsWith(field) ? message : field + ": " + message;
  }
}
