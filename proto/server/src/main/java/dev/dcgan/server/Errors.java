package dev.dcgan.server;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;

/**
 * The one table of what callers are told.
 *
 * <pre>
 *   bad arguments              INVALID_ARGUMENT     google.rpc.BadRequest: each field and what is wrong with it
 *   an unknown model, version,
 *     run, checkpoint          NOT_FOUND
 *   a state that forbids it    FAILED_PRECONDITION
 *   a request id used before
 *     for something else       ALREADY_EXISTS
 *   what this server was not
 *     started to allow         PERMISSION_DENIED
 *   a full queue, answers
 *     that nobody reads, too
 *     little memory            RESOURCE_EXHAUSTED   google.rpc.RetryInfo: when to come back
 *   too late for its deadline  DEADLINE_EXCEEDED
 *   no model yet, draining,
 *     a lost device            UNAVAILABLE
 *   a fault of ours            INTERNAL             no detail: the log has it
 * </pre>
 *
 * <p>Descriptions may quote what the caller sent, and are cut to a length that fits into the
 * headers in which errors travel: clients refuse more than 8 KiB of them.
 */
public final class Errors {

  private static final int MOST_OF_A_MESSAGE = 500;
  private static final int MOST_OF_A_VIOLATION = 150;

  /**
   * What is wrong with a field of a request.
   *
   * @param field its path in the request, {@code config.epochs}
   * @param description what was found, what was expected
   */
  public record Violation(String field, String description) {}

  private Errors() {}

  /** The request's {@code field} is wrong: {@code description} says what was found and expected. */
  public static StatusRuntimeException invalidArgument(String field, String description) {
    return invalidArgument(List.of(new Violation(field, description)));
  }

  /**
   * All that is wrong with a request.
   *
   * @param violations one or more
   */
  public static StatusRuntimeException invalidArgument(List<Violation> violations) {
    BadRequest.Builder detail = BadRequest.newBuilder();
    for (Violation violation : violations) {
      detail.addFieldViolations(
          BadRequest.FieldViolation.newBuilder()
              .setField(violation.field)
              .setDescription(
                  violations.size() == 1
                      ? cut(violation.description, MOST_OF_A_MESSAGE)
                      : cut(violation.description, MOST_OF_A_VIOLATION)));
    }
    Violation first = violations.get(0);
    String message =
        violations.size() == 1
            ? first.description
            : "%d fields are wrong; the first, %s: %s"
                .formatted(violations.size(), first.field, first.description);
    return status(Status.Code.INVALID_ARGUMENT, message, Any.pack(detail.build()));
  }

  /** What the request names does not exist. */
  public static StatusRuntimeException notFound(String description) {
    return status(Status.NOT_FOUND, description);
  }

  /** The state of what the request names does not allow it; the caller must change that first. */
  public static StatusRuntimeException failedPrecondition(String description) {
    return status(Status.FAILED_PRECONDITION, description);
  }

  /** This server was started without what would allow it; the description says how to allow it. */
  public static StatusRuntimeException permissionDenied(String description) {
    return status(Status.PERMISSION_DENIED, description);
  }

  /** What was to be made exists, and is another. */
  public static StatusRuntimeException alreadyExists(String description) {
    return status(Status.ALREADY_EXISTS, description);
  }

  /** Too much is queued already; {@code retryAfter} estimates when there will be room. */
  public static StatusRuntimeException overloaded(String description, Duration retryAfter) {
    RetryInfo detail =
        RetryInfo.newBuilder()
            .setRetryDelay(
                com.google.protobuf.Duration.newBuilder()
                    .setSeconds(retryAfter.getSeconds())
                    .setNanos(retryAfter.getNano()))
            .build();
    return status(Status.Code.RESOURCE_EXHAUSTED, description, Any.pack(detail));
  }

  /** It cannot be done before the call's deadline, or was not. */
  public static StatusRuntimeException deadlineExceeded(String description) {
    return status(Status.DEADLINE_EXCEEDED, description);
  }

  /** This replica cannot serve now; another may, or this one later. */
  public static StatusRuntimeException unavailable(String description) {
    return status(Status.UNAVAILABLE, description);
  }

  /** A fault of ours; what it was is for the log alone. */
  public static StatusRuntimeException internal() {
    return Status.INTERNAL
        .withDescription("internal error; the server's log has the cause")
        .asRuntimeException();
  }

  private static StatusRuntimeException status(Status status, String description) {
    return status.withDescription(cut(description, MOST_OF_A_MESSAGE)).asRuntimeException();
  }

  private static String cut(String text, int most) {
    return text.length() <= most ? text : text.substring(0, most) + " ...";
  }

  private static StatusRuntimeException status(Status.Code code, String description, Any detail) {
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage(cut(description, MOST_OF_A_MESSAGE))
            .addDetails(detail)
            .build());
  }
}
