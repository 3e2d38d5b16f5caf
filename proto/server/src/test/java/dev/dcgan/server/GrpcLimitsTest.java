package dev.dcgan.server;

import static dev.dcgan.server.Http2Client.DATA;
import static dev.dcgan.server.Http2Client.END_HEADERS;
import static dev.dcgan.server.Http2Client.END_STREAM;
import static dev.dcgan.server.Http2Client.ENHANCE_YOUR_CALM;
import static dev.dcgan.server.Http2Client.GOAWAY;
import static dev.dcgan.server.Http2Client.HEADERS;
import static dev.dcgan.server.Http2Client.PING;
import static dev.dcgan.server.Http2Client.WINDOW_UPDATE;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Keepalive pings, from a client that knows just enough HTTP/2 (RFC 9113) to send them. */
@Timeout(60)
class GrpcLimitsTest {

  @Test
  void byDefault_pingsOfEverySecondHaveRoomForJitter() {
    assertThat(GrpcLimits.DEFAULT.permitKeepalive()).isBetween(millis(1), millis(500));
  }

  @Test
  void pingsWithoutCalls_areAnswered() throws IOException {
    try (Http2Client client = connect(new GrpcLimits(Duration.ZERO, 8 << 10))) {
      for (int i = 0; i < 100; i++) {
        client.ping();
      }
    }
  }

  @Test
  void pingsMoreOftenThanPermitted_endTheConnection() throws IOException {
    try (Http2Client client = connect(new GrpcLimits(Duration.ofHours(1), 8 << 10))) {
      for (int i = 0; i < 4; i++) {
        client.send(PING, 0, 0, new byte[8]);
      }
      ByteString goAway = client.await(GOAWAY).payload();
      assertThat(goAway.byteAt(7)).isEqualTo((byte) ENHANCE_YOUR_CALM);
      assertThat(goAway.substring(8).toStringUtf8()).isEqualTo("too_many_pings");
    }
  }

  @Test
  void streamWhoseReaderPauses_survivesItsPings() throws IOException {
    try (Http2Client client = connect(new GrpcLimits(Duration.ZERO, 8 << 10))) {
      byte[] headers = Http2Client.headers("/dcgan.v1.SamplerService/Generate");
      client.send(HEADERS, END_HEADERS, 1, headers);
      byte[] request = FakeSampler.request(7).toByteArray();
      client.send(DATA, END_STREAM, 1, Http2Client.message(request.length, request));
      for (int i = 0; i < 100; i++) {
        client.ping();
      }
      client.send(WINDOW_UPDATE, 0, 1, new byte[] {0, 0, 1, 0});
      assertThat(client.await(DATA).payload().size()).isGreaterThan(5);
    }
  }

  private static Http2Client connect(GrpcLimits limits) throws IOException {
    return Http2Client.withServer(limits, FloodLimits.DEFAULT, new PrometheusRegistry());
  }

  private static Duration millis(long millis) {
    return Duration.ofMillis(millis);
  }
}
