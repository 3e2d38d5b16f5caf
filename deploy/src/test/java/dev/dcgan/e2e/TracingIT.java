package dev.dcgan.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import io.opentelemetry.proto.common.v1.KeyValue;
import io.opentelemetry.proto.trace.v1.ResourceSpans;
import io.opentelemetry.proto.trace.v1.ScopeSpans;
import io.opentelemetry.proto.trace.v1.Span;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the traces that both programs send, with a receiver of OTLP, and logs in JSON. */
class TracingIT {

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler");
  private static final String TRACE = "0af7651916cd43dd8448eb211c80319c";
  private static final String CALLER = "b7ad6b7169203331";

  @TempDir private Path folder;

  @Test
  void run_andCall_areTraced() throws Exception {
    try (Receiver receiver = new Receiver()) {
      try (Program trainer =
          start(receiver, TRAINER, "train", "--images=320", "--epochs=2", "--width=4")) {
        assertThat(trainer.awaitExit()).as(trainer.output()).isZero();
      }
      List<Span> training = receiver.await("training", 1);
      assertThat(receiver.await("epoch", 2))
          .allMatch(epoch -> epoch.getParentSpanId().equals(training.get(0).getSpanId()))
          .allMatch(epoch -> epoch.getEndTimeUnixNano() > epoch.getStartTimeUnixNano());
      assertThat(receiver.await("epoch end", 2)).hasSize(2);

      try (Program sampler =
          start(
              receiver,
              SAMPLER,
              "serve",
              "--repository=models",
              "--drain-delay=0s",
              "--log-format=json",
              "--port=0")) {
        Matcher port = sampler.awaitLine("gRPC on port (\\d+)");
        sampler.awaitLine("serving mnist28");
        generate(Integer.parseInt(port.group(1)));
        Span call = receiver.await("dcgan.v1.SamplerService/Generate", 2).get(0);
        assertThat(hex(call.getTraceId())).isEqualTo(TRACE);
        assertThat(hex(call.getParentSpanId())).isEqualTo(CALLER);
        for (String part : List.of("queue", "run", "encode")) {
          Span span = receiver.await(part, 1).get(0);
          assertThat(span.getParentSpanId()).as(part).isEqualTo(call.getSpanId());
          assertThat(span.getEndTimeUnixNano()).isGreaterThanOrEqualTo(span.getStartTimeUnixNano());
        }
        requestImages(Integer.parseInt(sampler.awaitLine("metrics on .*?:(\\d+)").group(1)));
        Span request = receiver.await("GET /v1/images", 1).get(0);
        assertThat(hex(request.getTraceId())).isEqualTo(TRACE);
        assertThat(hex(request.getParentSpanId())).isEqualTo(CALLER);
        assertThat(attributes(request))
            .containsEntry("http.request.method", "GET")
            .containsEntry("http.route", "/v1/images")
            .containsEntry("http.response.status_code", "200");
        assertThat(request.toString()).doesNotContain("seed");
        assertThat(receiver.await("run", 2))
            .anyMatch(run -> run.getParentSpanId().equals(request.getSpanId()));
        assertThat(receiver.names()).noneMatch(name -> name.contains("healthz"));
        JsonObject refused =
            JsonParser.parseString(sampler.awaitLine(".*INVALID_ARGUMENT.*").group())
                .getAsJsonObject();
        JsonObject known = refused.getAsJsonObject("mdc");
        assertThat(known.get("caller").getAsString()).startsWith("/127.0.0.1:");
        assertThat(known.get("request_id").getAsString()).isEqualTo("order-7");
        assertThat(known.get("trace_id").getAsString()).isEqualTo(TRACE);
        assertThat(sampler.output().lines()).allMatch(line -> line.startsWith("{"));
      }
    }
  }

  @Test
  void dashboard_isTraced_withoutTheNamesOfRuns() throws Exception {
    try (Receiver receiver = new Receiver();
        Program trainer = start(receiver, TRAINER, "serve", "--device=cpu", "--port=0")) {
      int port = Integer.parseInt(trainer.awaitLine("metrics on .*?:(\\d+)").group(1));
      assertThat(get(port, "/v1/runs/secret")).isEqualTo(404);
      Span request = receiver.await("GET /v1/runs/*", 1).get(0);
      assertThat(hex(request.getParentSpanId())).isEqualTo(CALLER);
      assertThat(attributes(request))
          .containsEntry("http.route", "/v1/runs/*")
          .containsEntry("http.response.status_code", "404");
      assertThat(request.toString()).doesNotContain("secret");
    }
  }

  private static void requestImages(int port) throws Exception {
    assertThat(get(port, "/healthz")).isEqualTo(200);
    assertThat(get(port, "/v1/images?seed=3")).isEqualTo(200);
  }

  /** Requests a page, as a client does whose own span is CALLER. */
  private static int get(int port, String path) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://localhost:%d%s".formatted(port, path)))
            .header("traceparent", "00-%s-%s-01".formatted(TRACE, CALLER))
            .build();
    return HttpClient.newHttpClient().send(request, BodyHandlers.discarding()).statusCode();
  }

  private static Map<String, String> attributes(Span span) {
    return span.getAttributesList().stream()
        .collect(
            Collectors.toMap(
                KeyValue::getKey,
                attribute ->
                    attribute.getValue().hasIntValue()
                        ? Long.toString(attribute.getValue().getIntValue())
                        : attribute.getValue().getStringValue()));
  }

  private Program start(Receiver receiver, Path program, String... options) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                "env",
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" + receiver.port(),
                "OTEL_BSP_SCHEDULE_DELAY=100",
                program.toAbsolutePath().toString()));
    command.addAll(List.of(options));
    command.add("--http-port=0");
    return Program.start(folder, command);
  }

  /** Calls rightly and wrongly, as a client does whose own span is CALLER. */
  private static void generate(int port) {
    ManagedChannel channel =
        Grpc.newChannelBuilder("127.0.0.1:" + port, InsecureChannelCredentials.create()).build();
    try {
      Metadata headers = new Metadata();
      headers.put(
          Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER),
          "00-%s-%s-01".formatted(TRACE, CALLER));
      headers.put(Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER), "order-7");
      SamplerServiceGrpc.SamplerServiceBlockingStub sampler =
          SamplerServiceGrpc.newBlockingStub(channel)
              .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
      var unused = sampler.generate(GenerateRequest.newBuilder().setSeed(1).setCount(2).build());
      assertThatThrownBy(
              () ->
                  ClientCalls.blockingUnaryCall(
                      sampler.getChannel(),
                      SamplerServiceGrpc.getGenerateMethod().toBuilder()
                          .setRequestMarshaller(new Unparseable())
                          .build(),
                      CallOptions.DEFAULT,
                      GenerateRequest.getDefaultInstance()))
          .hasMessageStartingWith("INVALID_ARGUMENT");
    } finally {
      channel.shutdownNow();
    }
  }

  private static String hex(ByteString id) {
    return HexFormat.of().formatHex(id.toByteArray());
  }

  /** Sends a message that ends within a field. */
  private static final class Unparseable implements MethodDescriptor.Marshaller<GenerateRequest> {

    @Override
    public InputStream stream(GenerateRequest request) {
      return new ByteArrayInputStream(new byte[] {10});
    }

    @Override
    public GenerateRequest parse(InputStream stream) {
      throw new UnsupportedOperationException("only clients use this");
    }
  }

  /** Receives traces by OTLP over HTTP. */
  private static final class Receiver implements AutoCloseable {

    private static final long PATIENCE_SECONDS = 60;

    private final HttpServer server;

    // Mutable state
    @GuardedBy("this") private final List<Span> spans = new ArrayList<>();

    Receiver() throws IOException {
      server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      server.createContext("/v1/traces", this::receive);
      server.start();
    }

    int port() {
      return server.getAddress().getPort();
    }

    private void receive(HttpExchange exchange) throws IOException {
      byte[] body = exchange.getRequestBody().readAllBytes();
      synchronized (this) {
        for (ResourceSpans resource :
            ExportTraceServiceRequest.parseFrom(body).getResourceSpansList()) {
          for (ScopeSpans scope : resource.getScopeSpansList()) {
            spans.addAll(scope.getSpansList());
          }
        }
        notifyAll();
      }
      exchange.getResponseHeaders().add("Content-Type", "application/x-protobuf");
      exchange.sendResponseHeaders(200, -1); // An empty response is a message without fields.
      exchange.close();
    }

    synchronized List<String> names() {
      return spans.stream().map(Span::getName).toList();
    }

    /** Waits until there are as many spans of a name. */
    synchronized List<Span> await(String name, int count) throws InterruptedException {
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
      while (true) {
        List<Span> found = spans.stream().filter(span -> span.getName().equals(name)).toList();
        if (found.size() >= count) {
          return found;
        }
        long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
        if (left <= 0) {
          throw new AssertionError(
              "no %d spans '%s' among %s"
                  .formatted(count, name, spans.stream().map(Span::getName).toList()));
        }
        wait(left);
      }
    }

    @Override
    public void close() {
      server.stop(0);
    }
  }
}
