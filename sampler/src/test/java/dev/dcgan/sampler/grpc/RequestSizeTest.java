package dev.dcgan.sampler.grpc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.Priority;
import java.util.Collections;
import org.junit.jupiter.api.Test;

class RequestSizeTest {

  @Test
  void allLatentsOfOneResponse_fitIntoOneRequest() {
    // Without the model's name and digest there are even more latents in a response.
    int bare = GetLatentsResponse.newBuilder().setLatentSize(1).build().getSerializedSize();
    int tagAndLength = 5;
    int envelope = 256;
    int floats = (ResponseBudget.MAX_RESPONSE_BYTES - bare - tagAndLength - envelope) / Float.BYTES;
    DecodeRequest request =
        DecodeRequest.newBuilder()
            .addAllLatents(Collections.nCopies(floats, 1f))
            .setModel("m".repeat(64))
            .setVersion(-1)
            .setFormat(ImageFormat.IMAGE_FORMAT_SHEET)
            .setColumns(-1)
            .setPriority(Priority.PRIORITY_HIGH)
            .build();
    assertThat(request.getSerializedSize()).isLessThanOrEqualTo(GrpcServer.MAX_REQUEST_BYTES);
  }
}
