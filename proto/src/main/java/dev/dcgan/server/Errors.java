package dev.dcgan.server;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;

/**
 * The one table of what callers are told.
 *
 * <pre>
 *   a bad argument             INVALID_ARGUMENT    google.rpc.BadRequest: the field and what is wrong with it
 *   an unknown model, version  NOT_FOUND
 *   a full queue               RESOURCE_EXHAUSTED  google.rpc.RetryInfo: when to come back
 *   no model yet, draining     UNAVAILABLE
 *   a fault of ours            INTERNAL            no detail: the log has it
 * </pre>
 */
public final class Errors {

  private Errors() {}

  /** The request's {@code field} is wrong: {@code description} says what was found and expected. */
  public static StatusRuntimeException invalidArgument(String field, String description) {
    BadRequest detail =
        BadRequest.newBuilder()
            .addFieldViolations(
                BadRequest.FieldViolation.newBuilder().setField(field).setDescription(description))
            .build();
    return status(Status.Code.INVALID_ARGUMENT, description, Any.pack(detail));
  }

  /** What the request names does not exist. */
  public static StatusRuntimeException notFound(String description) {
    return Status.NOT_FOUND.withDescription(description).asRuntimeException();
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

  /** This replica cannot serve now; another may, or this one later. */
  public static StatusRuntimeException unavailable(String description) {
    return Status.UNAVAILABLE.withDescription(description).asRuntimeException();
  }

  /** A fault of ours; what it was is for the log alone. */
  public static StatusRuntimeException internal() {
    return Status.INTERNAL
        .withDescription("internal error; the server's log has the cause")
        .asRuntimeException();
  }

  private static StatusRuntimeException status(Status.Code code, String description, Any detail) {
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .setMessage(description)
            .addDetails(detail)
            .build());
  }
}
