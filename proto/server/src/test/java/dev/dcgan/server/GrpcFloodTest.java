package dev.dcgan.server;

import static dev.dcgan.server.Http2Client.DATA;
import static dev.dcgan.server.Http2Client.END_HEADERS;
import static dev.dcgan.server.Http2Client.END_STREAM;
import static dev.dcgan.server.Http2Client.ENHANCE_YOUR_CALM;
import static dev.dcgan.server.Http2Client.HEADERS;
import static dev.dcgan.server.Http2Client.PING;
import static dev.dcgan.server.Http2Client.PRIORITY;
import static dev.dcgan.server.Http2Client.RST_STREAM;
import static dev.dcgan.server.Http2Client.SETTINGS;
import static dev.dcgan.server.Http2Client.WINDOW_UPDATE;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.MetricSnapshot;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Clients that flood a server with connections, frames and unfinished requests. */
@Timeout(60)
class GrpcFloodTest {

  private static final String GENERATE = "/dcgan.v1.SamplerService/Generate";
  private static final String REFLECTION =
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  private static final Duration WINDOW = Duration.ofHours(1);
  private static final Duration SHORT = Duration.ofMillis(200);
  private static final int MANY = 1000;
  private static final int PIECES = 200;

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final CapturedLog log = new CapturedLog(FloodMetrics.class);

  @AfterEach
  void end() {
    log.close();
  }

  /** Frames that cost the server more than the client. */
  private enum Flood {
    EMPTY_DATA(DATA, 0, 1, 0),
    EMPTY_SETTINGS(SETTINGS, 0, 0, 0),
    SETTINGS_ACK(SETTINGS, 1, 0, 0),
    PING_ACK(PING, 1, 0, 8),
    REPRIORITIZE(PRIORITY, 0, 5, 5),
    UNKNOWN(77, 0, 0, 0),
    SMALL_WINDOW_UPDATE(WINDOW_UPDATE, 0, 0, 4);

    final int type;
    final int flags;
    final int stream;
    final int length;

    Flood(int type, int flags, int stream, int length) {
      this.type = type;
      this.flags = flags;
      this.stream = stream;
      this.length = length;
    }
  }

  @ParameterizedTest
  @EnumSource
  void framesWithoutContent_endTheConnection(Flood flood) throws IOException {
    try (Http2Client client = client(new FloodLimits(9, 9, 9, 50, WINDOW, 1 << 20, WINDOW))) {
      client.send(HEADERS, END_HEADERS, 1, Http2Client.headers(GENERATE));
      byte[] payload = new byte[flood.length];
      if (flood.length > 0) {
        payload[flood.length - 1] = 1;
      }
      sendUntilClosed(client, Http2Client.frame(flood.type, flood.flags, flood.stream, payload));
      client.awaitClosed();
    }
    assertThat(exceeded("frames")).isEqualTo(1);
    assertThat(log.lines()).hasSize(1).first().asString().contains("limit=frames", "127.0.0.1");
  }

  @Test
  void streamsThatTheClientResets_endTheConnection() throws IOException {
    try (Http2Client client = client(new FloodLimits(9, 9, 20, MANY, WINDOW, 1 << 20, WINDOW))) {
      for (int stream = 1; stream < 2 * MANY; stream += 2) {
        try {
          client.send(HEADERS, END_HEADERS, stream, Http2Client.headers(GENERATE));
          client.send(RST_STREAM, 0, stream, new byte[] {0, 0, 0, 8});
        } catch (IOException e) {
          break; // It was closed.
        }
      }
      client.awaitClosed();
    }
  }

  /** As in CVE-2025-8671, "MadeYouReset". */
  @Test
  void streamsThatErrorsReset_endTheConnection() throws IOException {
    try (Http2Client client = client(new FloodLimits(9, 9, 20, MANY, WINDOW, 1 << 20, WINDOW))) {
      for (int stream = 1; stream < 2 * MANY; stream += 2) {
        try {
          client.send(HEADERS, END_HEADERS, stream, Http2Client.headers(GENERATE));
          client.send(WINDOW_UPDATE, 0, stream, new byte[4]);
        } catch (IOException e) {
          break; // It was closed.
        }
      }
      client.awaitClosed();
    }
  }

  @Test
  void requestsThatNeverEnd_areReset_andOthersAreServed() throws IOException {
    FloodLimits limits = new FloodLimits(9, 9, MANY, MANY, WINDOW, 4 << 20, WINDOW);
    try (GrpcServer server = Http2Client.server(GrpcLimits.DEFAULT, limits, registry)) {
      ManagedChannel other =
          Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
              .build();
      try (Http2Client client = Http2Client.connect(server.port(), "127.0.0.2")) {
        byte[] part = Http2Client.message(GrpcServer.MAX_REQUEST_BYTES, new byte[8 << 10]);
        // More than the share of the connection, in less than its flow-control window.
        for (int stream = 1; stream < 2 * MANY; stream += 2) {
          client.send(HEADERS, END_HEADERS, stream, Http2Client.headers(GENERATE));
          if (stream < 14) {
            client.send(DATA, 0, stream, part);
          }
        }
        assertThat(client.await(RST_STREAM).payload())
            .isEqualTo(ByteString.copyFrom(new byte[] {0, 0, 0, ENHANCE_YOUR_CALM}));
        assertThat(generate(other)).isEqualTo(7);
      }
      assertThat(exceeded("request_memory")).isPositive();
      // What the connection used is free again.
      try (Http2Client client = Http2Client.connect(server.port(), "127.0.0.2")) {
        client.send(HEADERS, END_HEADERS, 1, Http2Client.headers(GENERATE));
        byte[] request = FakeSampler.request(7).toByteArray();
        client.send(DATA, END_STREAM, 1, Http2Client.message(request.length, request));
        client.send(WINDOW_UPDATE, 0, 1, new byte[] {0, 0, 1, 0});
        assertThat(client.await(DATA).payload().size()).isGreaterThan(5);
      }
      other.shutdownNow();
    }
  }

  @Test
  void pieceOfARequest_occupiesItsBytes_notTheBufferAroundIt() throws Exception {
    CompletableFuture<ByteBufAllocator> allocator = new CompletableFuture<>();
    FakeSampler sampler =
        new FakeSampler() {
          @Override
          public void generate(GenerateRequest request, StreamObserver<GenerateResponse> observer) {
            allocator.complete(Objects.requireNonNull(GrpcConnections.current()).channel().alloc());
            super.generate(request, observer);
          }
        };
    FloodLimits limits = new FloodLimits(9, 9, MANY, MANY, WINDOW, 64 << 20, WINDOW);
    try (GrpcServer server = Http2Client.server(GrpcLimits.DEFAULT, limits, registry, sampler);
        Http2Client client = Http2Client.connect(server.port(), "127.0.0.2")) {
      byte[] request = FakeSampler.request(7).toByteArray();
      client.send(HEADERS, END_HEADERS, 1, Http2Client.headers(GENERATE));
      client.send(DATA, END_STREAM, 1, Http2Client.message(request.length, request));
      PooledByteBufAllocator memory = (PooledByteBufAllocator) allocator.get();
      client.ping();
      long before = memory.pinnedDirectMemory() + memory.pinnedHeapMemory();

      byte[] skipped = Http2Client.frame(77, 0, 0, new byte[16 << 10]);
      for (int stream = 3; stream < 3 + 2 * PIECES; stream += 2) {
        client.send(HEADERS, END_HEADERS, stream, Http2Client.headers(GENERATE));
        ByteArrayOutputStream both = new ByteArrayOutputStream();
        both.write(skipped);
        both.write(Http2Client.frame(DATA, 0, stream, new byte[1]));
        client.write(both.toByteArray());
      }
      client.ping();
      assertThat(memory.pinnedDirectMemory() + memory.pinnedHeapMemory() - before)
          .isLessThan(PIECES * (2L << 10));
    }
  }

  @Test
  void requestThatIsNotSentCompletely_isReset() throws IOException {
    FloodLimits limits = new FloodLimits(9, 9, MANY, MANY, WINDOW, 4 << 20, SHORT);
    byte[] request = FakeSampler.request(7).toByteArray();
    try (Http2Client client = client(limits)) {
      client.send(HEADERS, END_HEADERS, 1, Http2Client.headers(GENERATE));
      client.send(HEADERS, END_HEADERS, 3, Http2Client.headers(GENERATE));
      client.send(DATA, 0, 3, Http2Client.message(1000, request));
      client.send(HEADERS, END_HEADERS, 5, Http2Client.headers(GENERATE));
      client.send(DATA, 0, 5, Http2Client.message(request.length, request)); // Without an end.
      client.send(HEADERS, END_HEADERS, 7, Http2Client.headers(REFLECTION));
      client.send(DATA, 0, 7, Http2Client.message(1000, request));
      List<Integer> reset = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Http2Client.Frame frame = client.await(RST_STREAM);
        assertThat(frame.payload().byteAt(3)).isEqualTo((byte) ENHANCE_YOUR_CALM);
        reset.add(frame.stream());
      }
      assertThat(reset).containsExactlyInAnyOrder(1, 3, 5, 7);
    }
    assertThat(exceeded("request_time")).isEqualTo(4);
    assertThat(log.lines()).hasSize(1).first().asString().contains("limit=request_time");
  }

  @Test
  void requestThatWasSent_mayTakeAnyTime_andSoMayAStreamBetweenMessages() throws Exception {
    FloodLimits limits = new FloodLimits(9, 9, MANY, MANY, WINDOW, 4 << 20, SHORT);
    FakeSampler sampler = new FakeSampler();
    byte[] held = FakeSampler.request(FakeSampler.HELD).toByteArray();
    byte[] listServices = {0x3a, 0};
    try (GrpcServer server = Http2Client.server(GrpcLimits.DEFAULT, limits, registry, sampler);
        Http2Client client = Http2Client.connect(server.port(), "127.0.0.2")) {
      client.send(HEADERS, END_HEADERS, 1, Http2Client.headers(GENERATE));
      client.send(DATA, END_STREAM, 1, Http2Client.message(held.length, held));
      client.send(HEADERS, END_HEADERS, 3, Http2Client.headers(REFLECTION));
      client.send(DATA, 0, 3, Http2Client.message(2, listServices));
      StreamObserver<GenerateResponse> call = sampler.held.take();
      // The time of this one is over when that of the others is, which began before.
      client.send(HEADERS, END_HEADERS, 5, Http2Client.headers(GENERATE));
      assertThat(client.await(RST_STREAM).stream()).isEqualTo(5);

      FakeSampler.answer(FakeSampler.HELD, call);
      client.send(WINDOW_UPDATE, 0, 1, new byte[] {0, 0, 1, 0});
      assertThat(client.await(DATA).stream()).isEqualTo(1);
      client.send(DATA, 0, 3, Http2Client.message(2, listServices));
      client.send(WINDOW_UPDATE, 0, 3, new byte[] {0, 0, 1, 0});
      assertThat(client.await(DATA).stream()).isEqualTo(3);
    }
    assertThat(exceeded("request_time")).isEqualTo(1);
  }

  @Test
  void aRequestAsLargeAsItMayBe_isReceived_byDefault() {
    assertThat(FloodLimits.DEFAULT.requestBytes() * MemoryShares.ADDRESS_SHARE / 2)
        .isGreaterThan(GrpcServer.MAX_REQUEST_BYTES);
  }

  @Test
  void connectionsOfOneAddress_areLimited() throws IOException {
    FloodLimits limits = new FloodLimits(4, 2, MANY, MANY, WINDOW, 1 << 20, WINDOW);
    try (GrpcServer server = Http2Client.server(GrpcLimits.DEFAULT, limits, registry)) {
      int port = server.port();
      Http2Client first = Http2Client.connect(port, "127.0.0.2");
      first.ping();
      try (Http2Client second = Http2Client.connect(port, "127.0.0.2")) {
        second.ping();
        connectInVain(port, "127.0.0.2");
        assertThat(exceeded("address_connections")).isEqualTo(1);
        try (Http2Client third = Http2Client.connect(port, "127.0.0.3");
            Http2Client fourth = Http2Client.connect(port, "127.0.0.4")) {
          third.ping();
          fourth.ping();
          connectInVain(port, "127.0.0.5");
          assertThat(exceeded("connections")).isEqualTo(1);
        }
        first.close();
        while (!isServed(port, "127.0.0.2")) {
          Thread.onSpinWait(); // Until the server has noticed.
        }
      }
    }
  }

  private Http2Client client(FloodLimits limits) throws IOException {
    return Http2Client.withServer(new GrpcLimits(Duration.ZERO, 8 << 10), limits, registry);
  }

  private static void connectInVain(int port, String from) {
    try (Http2Client refused = Http2Client.connect(port, from)) {
      refused.awaitClosed();
    } catch (IOException e) {
      return; // It was closed even before the preface was sent.
    }
  }

  private static boolean isServed(int port, String from) {
    try (Http2Client client = Http2Client.connect(port, from)) {
      client.ping();
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static void sendUntilClosed(Http2Client client, byte[] frame) {
    try {
      for (int i = 0; i < MANY; i++) {
        client.write(frame);
      }
    } catch (IOException e) {
      return;
    }
  }

  private static long generate(ManagedChannel channel) {
    try {
      return SamplerServiceGrpc.newBlockingStub(channel)
          .generate(FakeSampler.request(7))
          .getFirstIndex();
    } catch (StatusRuntimeException e) {
      throw new AssertionError(e);
    }
  }

  private double exceeded(String limit) {
    for (MetricSnapshot metric : registry.scrape()) {
      if (metric.getMetadata().getName().equals("grpc_server_limit_exceeded")) {
        for (CounterSnapshot.CounterDataPointSnapshot point :
            ((CounterSnapshot) metric).getDataPoints()) {
          if (limit.equals(point.getLabels().get("limit"))) {
            return point.getValue();
          }
        }
      }
    }
    throw new AssertionError(limit);
  }
}
