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
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Calls over a real socket; the server is closed before the figures are read, so all are in. */
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
    assertThat(timed())
        .isEqualTo(
            Map.of(
                "Generate OK", 2L,
                "Generate INVALID_ARGUMENT", 1L,
                "Generate INTERNAL", 1L));
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
  void aCallUnderWayIsInFlight_andCountsAsCancelledWhenItsCallerGoes() throws Exception {
    ListenableFuture<GenerateResponse> call =
        SamplerServiceGrpc.newFutureStub(channel).generate(FakeSampler.request(FakeSampler.HELD));
    sampler.held.take();
    assertThat(inFlight()).isEqualTo(1);

    call.cancel(true);
    sampler.cancelled.await();
    server.close();

    assertThat(handled()).isEqualTo(Map.of("Generate CANCELLED", 1.0));
    assertThat(inFlight()).isZero();
  }

  @Test
  void aRequestTooLarge_isCountedAndLeavesNothingInFlight() {
    fail(GenerateRequest.newBuilder().setModel("m".repeat(1 << 20)).build());
    server.close();

    assertThat(handled().values()).containsExactly(1.0);
    assertThat(inFlight()).isZero();
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

  private Map<String, Double> handled() {
    return snapshot(CounterSnapshot.class).getDataPoints().stream()
        .collect(
            Collectors.toMap(
                point -> methodAndCode(point.getLabels()),
                CounterSnapshot.CounterDataPointSnapshot::getValue));
  }

  private Map<String, Long> timed() {
    return snapshot(HistogramSnapshot.class).getDataPoints().stream()
        .collect(
            Collectors.toMap(
                point -> methodAndCode(point.getLabels()),
                HistogramSnapshot.HistogramDataPointSnapshot::getCount));
  }

  private double inFlight() {
    return snapshot(GaugeSnapshot.class).getDataPoints().stream()
        .mapToDouble(GaugeSnapshot.GaugeDataPointSnapshot::getValue)
        .sum();
  }

  private static String methodAndCode(Labels labels) {
    assertThat(labels.get("grpc_service")).isEqualTo("dcgan.v1.SamplerService");
    return labels.get("grpc_method") + " " + labels.get("grpc_code");
  }

  private <T extends MetricSnapshot> T snapshot(Class<T> kind) {
    return registry.scrape().stream()
        .filter(kind::isInstance)
        .map(kind::cast)
        .findFirst()
        .orElseThrow();
  }
}
