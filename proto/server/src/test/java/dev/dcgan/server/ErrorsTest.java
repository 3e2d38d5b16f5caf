package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ErrorsTest {

  @Test
  void invalidArgument_namesTheField() throws Exception {
    StatusRuntimeException error = Errors.invalidArgument("count", "count 0; expected 1 or more");

    assertThat(error.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(error.getStatus().getDescription()).isEqualTo("count 0; expected 1 or more");
    BadRequest.FieldViolation violation = detail(error, BadRequest.class).getFieldViolations(0);
    assertThat(violation.getField()).isEqualTo("count");
    assertThat(violation.getDescription()).isEqualTo("count 0; expected 1 or more");
  }

  @Test
  void invalidArgument_namesAllFields_andTheMessageTheFirst() throws Exception {
    StatusRuntimeException error =
        Errors.invalidArgument(
            List.of(
                new Errors.Violation("config.epochs", "0: expected 1 to 100000"),
                new Errors.Violation("config.beta1", "1.0: expected 0 to below 1")));

    assertThat(error.getStatus().getDescription())
        .isEqualTo("2 fields are wrong; the first, config.epochs: 0: expected 1 to 100000");
    assertThat(detail(error, BadRequest.class).getFieldViolationsList())
        .extracting(BadRequest.FieldViolation::getField)
        .containsExactly("config.epochs", "config.beta1");
  }

  @Test
  void whatQuotesTheCaller_fitsIntoTheHeadersOfAnAnswer() {
    String quoted = "x".repeat(1_000_000);
    List<Errors.Violation> violations = new ArrayList<>();
    for (int i = 0; i < 25; i++) {
      violations.add(new Errors.Violation("config.discriminator_learning_rate", quoted));
    }
    for (StatusRuntimeException error :
        List.of(
            Errors.invalidArgument(violations),
            Errors.invalidArgument("run_id", quoted),
            Errors.notFound(quoted),
            Errors.overloaded(quoted, Duration.ZERO))) {
      // In base64, beside the message itself.
      com.google.rpc.Status status = StatusProto.fromThrowable(error);
      assertThat(status.getSerializedSize() * 4 / 3 + status.getMessage().length())
          .isLessThan(8000);
    }
  }

  @Test
  void overloaded_saysWhenToComeBack() throws Exception {
    StatusRuntimeException error = Errors.overloaded("64 queued", Duration.ofMillis(1250));

    assertThat(error.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(error.getStatus().getDescription()).isEqualTo("64 queued");
    RetryInfo retry = detail(error, RetryInfo.class);
    assertThat(retry.getRetryDelay().getSeconds()).isEqualTo(1);
    assertThat(retry.getRetryDelay().getNanos()).isEqualTo(250_000_000);
  }

  @Test
  void theOthersHaveTheirCodes() {
    assertThat(Errors.notFound("no model 'x'").getStatus())
        .returns(Status.Code.NOT_FOUND, Status::getCode)
        .returns("no model 'x'", Status::getDescription);
    assertThat(Errors.unavailable("no model yet").getStatus())
        .returns(Status.Code.UNAVAILABLE, Status::getCode)
        .returns("no model yet", Status::getDescription);
    assertThat(Errors.failedPrecondition("run x is RUNNING").getStatus())
        .returns(Status.Code.FAILED_PRECONDITION, Status::getCode)
        .returns("run x is RUNNING", Status::getDescription);
    assertThat(Errors.alreadyExists("request id 'x' is taken").getStatus())
        .returns(Status.Code.ALREADY_EXISTS, Status::getCode)
        .returns("request id 'x' is taken", Status::getDescription);
    assertThat(Errors.permissionDenied("start it with --allow-pin").getStatus())
        .returns(Status.Code.PERMISSION_DENIED, Status::getCode)
        .returns("start it with --allow-pin", Status::getDescription);
    assertThat(Errors.internal().getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
  }

  private static <T extends Message> T detail(StatusRuntimeException error, Class<T> type)
      throws InvalidProtocolBufferException {
    return StatusProto.fromThrowable(error).getDetails(0).unpack(type);
  }
}
