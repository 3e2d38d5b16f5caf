package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HttpEndpointTest {

  private static final Path PROMTOOL = Path.of("/usr/bin/promtool");

  @TempDir Path folder;

  @Test
  void metrics_areTheJvmsAndTheProcesses() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      assertThat(metrics(endpoint))
          .contains("jvm_memory_used_bytes{", "jvm_threads_current ", "process_cpu_seconds_total ")
          .contains("process_resident_memory_bytes ");
    }
  }

  @Test
  void start_onAPortInUse_saysWhichAndWhatToDo() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      assertThatThrownBy(() -> HttpEndpoint.start(endpoint.port(), new PrometheusRegistry()))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "cannot serve HTTP on port %d (Address already in use); choose another with --http-port"
                  .formatted(endpoint.port()));
    }
  }

  @Test
  void close_freesThePort() throws Exception {
    HttpEndpoint first = HttpEndpoint.start(0, new PrometheusRegistry());
    int port = first.port();
    first.close();

    try (HttpEndpoint second = HttpEndpoint.start(port, new PrometheusRegistry())) {
      assertThat(metrics(second)).contains("jvm_");
    }
  }

  @Test
  void metrics_ofAServerThatWasCalled_pleasePromtool() throws Exception {
    assumeThat(PROMTOOL).isExecutable();
    PrometheusRegistry registry = new PrometheusRegistry();
    String text;
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, registry)) {
      callOnce(registry);
      text = metrics(endpoint);
    }
    assertThat(text)
        .contains("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Generate\"")
        .contains("grpc_server_handling_seconds_bucket{grpc_code=\"OK\"");

    Path input = Files.writeString(folder.resolve("metrics"), text);
    Process promtool =
        new ProcessBuilder(PROMTOOL.toString(), "check", "metrics")
            .redirectInput(input.toFile())
            .redirectErrorStream(true)
            .start();
    String complaints =
        new String(promtool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(complaints).isEmpty();
    assertThat(promtool.waitFor()).isZero();
  }

  private static void callOnce(PrometheusRegistry registry) throws IOException {
    try (GrpcServer server = GrpcServer.start(0, new FakeSampler(), registry)) {
      ManagedChannel channel =
          Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
              .build();
      try {
        SamplerServiceGrpc.newBlockingStub(channel).generate(FakeSampler.request(1));
      } finally {
        channel.shutdownNow();
      }
    }
  }

  private static String metrics(HttpEndpoint endpoint) throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + endpoint.port() + "/metrics");
    HttpResponse<String> response =
        HttpClient.newHttpClient()
            .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
    assertThat(response.statusCode()).isEqualTo(200);
    return response.body();
  }
}
