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
 * Creates the status of every kind of error.
 *
 * <pre>
 *   invalid arguments            INVALID_ARGUMENT     google.rpc.BadRequest with each invalid field
 *   unknown model, version, run
 *     or checkpoint              NOT_FOUND
 *   the state does not allow it  FAILED_PRECONDITION
 *   a request id is used for
 *     another request            ALREADY_EXISTS
 *   no valid credential          UNAUTHENTICATED
 *   an option of the server
 *     disables the operation, or
 *     the caller lacks the role  PERMISSION_DENIED
 *   queue full, unread responses,
 *     out of memory, disk full   RESOURCE_EXHAUSTED   google.rpc.RetryInfo
 *   the deadline cannot be met   DEADLINE_EXCEEDED
 *   no model yet, draining,
 *     device lost, files that
 *     cannot be read or written  UNAVAILABLE
 *   a bug                        INTERNAL             no details; the log has them
 * </pre>
 *
 * <p>Descriptions may quote the request. They are truncated to fit into the HTTP headers that carry
 * errors: clients refuse headers of more than 8 KiB.
 */
public final class Errors {

  private static final int MAX_MESSAGE_LENGTH = 500;
  private static final int MAX_VIOLATION_LENGTH = 150;

  /**
   * An invalid field of a request.
   *
   * @param field the path in the request, for example {@code config.epochs}
   * @param description what was found and what was expected
   */
  public record Violation(String field, String description) {}

  private Errors() {}

  /** One field of the request is invalid. */
  public static StatusRuntimeException invalidArgument(String field, String description) {
    return invalidArgument(List.of(new Violation(field, description)));
  }

  /**
   * One or more fields of the request are invalid.
   *
   * @param violations at least one
   */
  public static StatusRuntimeException invalidArgument(List<Violation> violations) {
    BadRequest.Builder detail = BadRequest.newBuilder();
    for (Violation violation : violations) {
      detail.addFieldViolations(
          BadRequest.FieldViolation.newBuilder()
              .setField(violation.field)
              .setDescription(
                  violations.size() == 1
                      ? truncate(violation.description, MAX_MESSAGE_LENGTH)
                      : truncate(violation.description, MAX_VIOLATION_LENGTH)));
    }
    Violation first = violations.get(0);
    String message =
        violations.size() == 1
            ? first.description
            : "%d fields are wrong; the first, %s: %s"
                .formatted(violations.size(), first.field, first.description);
    return status(Status.Code.INVALID_ARGUMENT, message, Any.pack(detail.build()));
  }

  /** A resource that the request names does not exist. */
  public static StatusRuntimeException notFound(String description) {
    return status(Status.NOT_FOUND, description);
  }

  /** The state of a resource does not allow the request; the client must change the state first. */
  public static StatusRuntimeException failedPrecondition(String description) {
    return status(Status.FAILED_PRECONDITION, description);
  }

  /** The caller has no valid credential; the description says what was expected. */
  static StatusRuntimeException unauthenticated(String description) {
    return status(Status.UNAUTHENTICATED, description);
  }

  /** An option of the server disables the operation; the description names the option. */
  public static StatusRuntimeException permissionDenied(String description) {
    return status(Status.PERMISSION_DENIED, description);
  }

  /** The resource exists already and differs from the requested one. */
  public static StatusRuntimeException alreadyExists(String description) {
    return status(Status.ALREADY_EXISTS, description);
  }

  /** The server is overloaded; {@code retryAfter} estimates when it has capacity again. */
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

  /** The deadline cannot be met, or has passed. */
  public static StatusRuntimeException deadlineExceeded(String description) {
    return status(Status.DEADLINE_EXCEEDED, description);
  }

  /** This replica cannot serve now. Another replica may, or this one later. */
  public static StatusRuntimeException unavailable(String description) {
    return status(Status.UNAVAILABLE, description);
  }

  /** A bug. Only the log has the details. */
  public static StatusRuntimeException internal() {
    return Status.INTERNAL
        .withDescription("internal error; the server's log has the cause")
        .asRuntimeException();
  }

  private static StatusRuntimeException status(Status status, String description) {
    return status.withDescription(truncate(description, MAX_MESSAGE_LENGTH)).asRuntimeException();
  }

  private static String truncate(String text, int max) {
    return text.length() <= max ? text : text.substring(0, max) + " ...";
  }

  private static StatusRuntimeException status(Status.Code code, String description, Any detail) {
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage(truncate(description, MAX_MESSAGE_LENGTH))
            .addDetails(detail)
            .build());
  }
}
