package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.util.concurrent.ListenableFuture;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.HistogramSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshot;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Calls over a real socket. The server is closed before the metrics are read, so that all calls
 * have ended.
 */
@Timeout(60)
class ServerMetricsTest {

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final FakeSampler sampler = new FakeSampler();
  private GrpcServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws IOException {
    server = GrpcServer.start(0, sampler, registry);
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.close();
  }

  @Test
  void callsAreCountedByMethodAndCode() {
    generate(1);
    generate(2);
    fail(FakeSampler.request(FakeSampler.BAD));
    try (CapturedLog log = new CapturedLog(FaultBarrier.class)) {
      fail(FakeSampler.request(FakeSampler.FAULT));
      server.close();
      assertThat(log.lines()).hasSize(1);
    }

    assertThat(handled())
        .isEqualTo(
            Map.of(
                "Generate OK", 2.0,
                "Generate INVALID_ARGUMENT", 1.0,
                "Generate INTERNAL", 1.0));
    assertThat(started()).isEqualTo(Map.of("Generate", 4.0));
    assertThat(timed()).isEqualTo(Map.of("Generate", 4L));
    assertThat(inFlight()).isZero();
  }

  @Test
  void aFaultAfterTheAnswer_countsAsWhatTheCallerGot() {
    try (CapturedLog log = new CapturedLog(FaultBarrier.class)) {
      generate(FakeSampler.FAULT_AFTER_ANSWER);
      server.close();
      assertThat(log.lines()).hasSize(1);
    }

    assertThat(handled()).isEqualTo(Map.of("Generate OK", 1.0));
  }

  @Test
  void aCallIsInFlight_andCancelledWhenItsClientCancels() throws Exception {
    ListenableFuture<GenerateResponse> call =
        SamplerServiceGrpc.newFutureStub(channel).generate(FakeSampler.request(FakeSampler.HELD));
    sampler.held.take();
    assertThat(inFlight()).isEqualTo(1);
    assertThat(started()).isEqualTo(Map.of("Generate", 1.0));
    assertThat(handled()).isEmpty();

    call.cancel(true);
    sampler.cancelled.await();
    server.close();

    assertThat(handled()).isEqualTo(Map.of("Generate CANCELLED", 1.0));
    assertThat(inFlight()).isZero();
  }

  @Test
  void aRequestTooLarge_isCountedAndLeavesNothingInFlight() {
    fail(GenerateRequest.newBuilder().setModel("m".repeat(4 << 20)).build());
    server.close();

    assertThat(handled().values()).containsExactly(1.0);
    assertThat(inFlight()).isZero();
  }

  @Test
  void labels_areThoseOfGoGrpcPrometheus() {
    generate(1);
    assertThatThrownBy(
            () ->
                SamplerServiceGrpc.newBlockingStub(channel)
                    .generateStream(FakeSampler.request(1))
                    .next())
        .isInstanceOf(StatusRuntimeException.class)
        .hasMessageContaining("UNIMPLEMENTED");
    server.close();

    String unary =
        "grpc_method=\"Generate\",grpc_service=\"dcgan.v1.SamplerService\",grpc_type=\"unary\"";
    String stream =
        "grpc_method=\"GenerateStream\",grpc_service=\"dcgan.v1.SamplerService\","
            + "grpc_type=\"server_stream\"";
    assertThat(labels("grpc_server_started")).containsExactlyInAnyOrder(unary, stream);
    assertThat(labels("grpc_server_in_flight")).containsExactlyInAnyOrder(unary, stream);
    assertThat(labels("grpc_server_handling_seconds")).containsExactlyInAnyOrder(unary, stream);
    assertThat(labels("grpc_server_handled"))
        .containsExactlyInAnyOrder(
            "grpc_code=\"OK\"," + unary, "grpc_code=\"UNIMPLEMENTED\"," + stream);
  }

  private void generate(long seed) {
    assertThat(
            SamplerServiceGrpc.newBlockingStub(channel)
                .generate(FakeSampler.request(seed))
                .getFirstIndex())
        .isEqualTo(seed);
  }

  private void fail(GenerateRequest request) {
    assertThatThrownBy(() -> SamplerServiceGrpc.newBlockingStub(channel).generate(request))
        .isInstanceOf(StatusRuntimeException.class);
  }

  private Map<String, Double> started() {
    return snapshot(CounterSnapshot.class, "grpc_server_started").getDataPoints().stream()
        .collect(
            Collectors.toMap(
                point -> method(point.getLabels()),
                CounterSnapshot.CounterDataPointSnapshot::getValue));
  }

  private Map<String, Double> handled() {
    return snapshot(CounterSnapshot.class, "grpc_server_handled").getDataPoints().stream()
        .collect(
            Collectors.toMap(
                point -> method(point.getLabels()) + " " + point.getLabels().get("grpc_code"),
                CounterSnapshot.CounterDataPointSnapshot::getValue));
  }

  private Map<String, Long> timed() {
    return snapshot(HistogramSnapshot.class, "grpc_server_handling_seconds")
        .getDataPoints()
        .stream()
        .collect(
            Collectors.toMap(
                point -> method(point.getLabels()),
                HistogramSnapshot.HistogramDataPointSnapshot::getCount));
  }

  private double inFlight() {
    return snapshot(GaugeSnapshot.class, "grpc_server_in_flight").getDataPoints().stream()
        .mapToDouble(GaugeSnapshot.GaugeDataPointSnapshot::getValue)
        .sum();
  }

  private static String method(Labels labels) {
    return String.valueOf(labels.get("grpc_method"));
  }

  /** The labels of a metric's time series, in the text format and in alphabetical order. */
  private List<String> labels(String metric) {
    return snapshot(MetricSnapshot.class, metric).getDataPoints().stream()
        .map(
            point ->
                point.getLabels().stream()
                    .map(label -> "%s=\"%s\"".formatted(label.getName(), label.getValue()))
                    .sorted()
                    .collect(Collectors.joining(",")))
        .toList();
  }

  private <T extends MetricSnapshot> T snapshot(Class<T> kind, String metric) {
    return registry.scrape().stream()
        .filter(snapshot -> snapshot.getMetadata().getName().equals(metric))
        .map(kind::cast)
        .findFirst()
        .orElseThrow();
  }
}
