package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.v1.GenerateRequest;

/** Any message is a request or is the client's fault. */
class ImageRequestFuzzTest {

  @FuzzTest
  void request_isValidOrRefused(byte[] message) {
    try {
      assertThat(ImageRequest.of(GenerateRequest.parseFrom(message))).isNotNull();
    } catch (InvalidProtocolBufferException | RequestException e) {
      assertThat(e.getMessage()).isNotNull();
    }
  }
}
