package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** Log lines about a call say whose it is. */
@Timeout(60)
class CallLogTest {

  private static final String TOKEN = "a-token-of-alice";

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final CapturedLog faults = new CapturedLog(FaultBarrier.class);
  private final CapturedLog router = new CapturedLog(HttpRouter.class);
  private final CapturedLog refusals = new CapturedLog(AccessControl.class);

  @TempDir private Path folder;

  @AfterEach
  void end() {
    faults.close();
    router.close();
    refusals.close();
  }

  @Test
  void lineAboutAGrpcCall_hasItsCallerAndRequestId() throws Exception {
    assertThat(callLine(tokens())).contains("failed caller=alice request_id=order-7\n");
    assertThat(callLine(null)).containsPattern("failed caller=/127\\.0\\.0\\.1:\\d+ request_id=");
  }

  private String callLine(@Nullable Path tokens) throws Exception {
    try (AccessControl access = access(tokens);
        GrpcServer server =
            GrpcServer.start(
                new GrpcServer.Config(0, true, Duration.ZERO, null, GrpcLimits.DEFAULT, access),
                new PrometheusRegistry(),
                new ServingState(),
                new FakeSampler(),
                List.of())) {
      ManagedChannel channel =
          Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
              .build();
      Metadata headers = new Metadata();
      headers.put(key("authorization"), "Bearer " + TOKEN);
      headers.put(key("x-request-id"), "order-7");
      assertThatThrownBy(
              () ->
                  SamplerServiceGrpc.newBlockingStub(channel)
                      .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
                      .generate(FakeSampler.request(FakeSampler.FAULT)))
          .isInstanceOf(StatusRuntimeException.class);
      channel.shutdownNow();
    }
    List<String> lines = faults.text();
    return lines.get(lines.size() - 1);
  }

  @Test
  void lineAboutAnHttpRequest_hasItsCallerAndRequestId() throws Exception {
    HttpPage failing =
        call -> {
          throw new IllegalStateException("a fault\u001b[2J");
        };
    try (AccessControl access = access(tokens());
        HttpEndpoint endpoint = endpoint(Map.of("/v1/images", failing), access)) {
      request(
          endpoint,
          "GET /v1/images HTTP/1.0\r\nX-Request-Id: order\t7\r\nAuthorization: Bearer %s\r\n\r\n"
              .formatted(TOKEN));
    }
    assertThat(router.text())
        .singleElement()
        .asString()
        .contains("/v1/images failed caller=alice request_id=order?7\n", "a fault?[2J")
        .doesNotContain(TOKEN, "\u001b");
  }

  @Test
  void refusedPath_cannotControlATerminal() throws Exception {
    try (AccessControl access = access(tokens());
        HttpEndpoint endpoint = endpoint(Map.of("/v1/runs/*", call -> {}), access)) {
      request(endpoint, "GET /v1/runs/\u001b[2J\u009bJ HTTP/1.0\r\n\r\n");
    }
    assertThat(refusals.lines())
        .singleElement()
        .asString()
        .contains("call=\"GET /v1/runs/?[2J?J\"")
        .doesNotContainPattern("\\p{Cc}");
  }

  @Test
  void otherLines_haveNoneOfThat() {
    try (CapturedLog log = new CapturedLog(CallLogTest.class)) {
      LoggerFactory.getLogger(CallLogTest.class).info("began\r\nagain");
      assertThat(log.text())
          .singleElement()
          .asString()
          .matches("\\S+ INFO  CallLogTest: began\\?\\?again\n");
    }
  }

  private Path tokens() throws Exception {
    String hash =
        HexFormat.of()
            .formatHex(
                MessageDigest.getInstance("SHA-256")
                    .digest(TOKEN.getBytes(StandardCharsets.UTF_8)));
    return Files.writeString(folder.resolve("tokens"), "alice generate sha256:" + hash + "\n");
  }

  private AccessControl access(@Nullable Path tokens) throws IOException {
    return AccessControl.start(
        new AccessConfig(InetAddress.getLoopbackAddress(), null, tokens, true, 0),
        null,
        new PrometheusRegistry());
  }

  private HttpEndpoint endpoint(Map<String, HttpPage> pages, AccessControl access)
      throws IOException {
    return HttpEndpoint.start(
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
        registry,
        pages,
        Set.of(),
        null,
        access);
  }

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  private static void request(HttpEndpoint endpoint, String text) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), endpoint.port())) {
      socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
      assertThat(socket.getInputStream().readAllBytes()).isNotEmpty();
    }
  }
}
