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
    assertThat(Errors.internal().getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
  }

  private static <T extends Message> T detail(StatusRuntimeException error, Class<T> type)
      throws InvalidProtocolBufferException {
    return StatusProto.fromThrowable(error).getDetails(0).unpack(type);
  }
}
