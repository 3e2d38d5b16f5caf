package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.type;

import com.google.common.util.concurrent.ListenableFuture;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GrpcServerTest {

  private static final Duration LONG = Duration.ofHours(1);
  private static final List<String> SERVICES =
      List.of(
          "dcgan.v1.SamplerService",
          "grpc.health.v1.Health",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection");

  private final FakeSampler sampler = new FakeSampler();
  private final List<ManagedChannel> channels = new ArrayList<>();
  private GrpcServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws IOException {
    server = GrpcServer.start(0, sampler, new PrometheusRegistry());
    channel = connect();
  }

  @AfterEach
  void stop() {
    channels.forEach(ManagedChannel::shutdownNow);
    server.close();
  }

  @Test
  void start_isAliveButNotReady() {
    assertThat(health("")).isEqualTo(ServingStatus.SERVING);
    assertThat(health("dcgan.v1.SamplerService")).isEqualTo(ServingStatus.NOT_SERVING);
  }

  @Test
  void setReady_changesReadinessAlone() {
    server.setReady(true);
    assertThat(health("dcgan.v1.SamplerService")).isEqualTo(ServingStatus.SERVING);

    server.setReady(false);
    assertThat(health("dcgan.v1.SamplerService")).isEqualTo(ServingStatus.NOT_SERVING);
    assertThat(health("")).isEqualTo(ServingStatus.SERVING);
  }

  @Test
  void reportBroken_isNeitherAliveNorReady_forGood() {
    server.setReady(true);
    server.reportBroken();
    assertThat(health("")).isEqualTo(ServingStatus.NOT_SERVING);
    assertThat(health("dcgan.v1.SamplerService")).isEqualTo(ServingStatus.NOT_SERVING);
    server.setReady(true);
    assertThat(health("dcgan.v1.SamplerService")).isEqualTo(ServingStatus.NOT_SERVING);
    assertThat(server.isReady()).isFalse();
  }

  @Test
  void furtherServices_areServedAndListed_andReadinessTellsThem() throws Exception {
    server.close();
    ServingState state = new ServingState();
    server =
        GrpcServer.start(
            new GrpcServer.Config(0, false, Duration.ofMinutes(1), null),
            new PrometheusRegistry(),
            state,
            sampler,
            List.of(new TrainerServiceGrpc.TrainerServiceImplBase() {}));
    channel = connect();
    assertThat(servicesByReflection())
        .hasSize(SERVICES.size() + 1)
        .containsAll(SERVICES)
        .contains("dcgan.v1.TrainerService");

    assertThat(state.isReady()).isFalse();
    server.setReady(true);
    assertThat(state.isReady()).isTrue();
    server.close();
    server.setReady(true);
    assertThat(state.isReady()).as("once draining, for good").isFalse();
  }

  @Test
  void start_onAPortInUse_saysWhichAndWhatToDo() {
    assertThatThrownBy(
            () -> GrpcServer.start(server.port(), new FakeSampler(), new PrometheusRegistry()))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            "cannot serve gRPC on port %d \\(.*in use\\); choose another with --port"
                .formatted(server.port()));
  }

  @Test
  void reflection_v1_listsTheServices() throws Exception {
    assertThat(servicesByReflection()).containsExactlyInAnyOrderElementsOf(SERVICES);
  }

  @Test
  void reflection_v1alpha_listsTheServices() throws Exception {
    assertThat(servicesByOldReflection()).containsExactlyInAnyOrderElementsOf(SERVICES);
  }

  @Test
  void aHandlersFault_isInternalToTheCallerAndOneEntryInTheLog() {
    try (CapturedLog log = new CapturedLog(FaultBarrier.class)) {
      assertThatThrownBy(() -> stub().generate(FakeSampler.request(FakeSampler.FAULT)))
          .asInstanceOf(type(StatusRuntimeException.class))
          .satisfies(
              e -> {
                assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
                assertThat(e.getStatus().getDescription())
                    .isEqualTo("internal error; the server's log has the cause");
                assertThat(String.valueOf(e.getTrailers())).doesNotContain("secret", "Exception");
              });
      assertThat(log.lines()).containsExactly("ERROR dcgan.v1.SamplerService/Generate failed");
    }
  }

  @Test
  void aFaultAfterTheAnswer_leavesTheAnswer() {
    try (CapturedLog log = new CapturedLog(FaultBarrier.class)) {
      assertThat(generate(FakeSampler.FAULT_AFTER_ANSWER))
          .isEqualTo(FakeSampler.FAULT_AFTER_ANSWER);
      server.close();
      assertThat(log.lines()).containsExactly("ERROR dcgan.v1.SamplerService/Generate failed");
    }
  }

  @Test
  void aRequestTooLarge_isRefused() {
    GenerateRequest large = GenerateRequest.newBuilder().setModel("m".repeat(4 << 20)).build();

    assertThatThrownBy(() -> stub().generate(large))
        .isInstanceOf(StatusRuntimeException.class)
        .hasMessageContaining("RESOURCE_EXHAUSTED")
        .hasMessageContaining("4194304");

    assertThat(generate(5)).isEqualTo(5);
  }

  @Test
  void drain_whileLame_isNotReadyButServes() throws Exception {
    server.setReady(true);
    Thread drain = new Thread(() -> server.drain(LONG, LONG));
    drain.start();
    awaitHealth(ServingStatus.NOT_SERVING);

    // A model that is loaded now must not make the server ready again.
    server.setReady(true);

    assertThat(health("dcgan.v1.SamplerService")).isEqualTo(ServingStatus.NOT_SERVING);
    assertThat(health("")).isEqualTo(ServingStatus.SERVING);
    assertThat(generate(5)).isEqualTo(5);
    drain.interrupt();
    drain.join();
    assertRefused();
  }

  @Test
  void drain_finishesTheCallUnderWayAndRefusesNewOnes() throws Exception {
    ListenableFuture<GenerateResponse> call = hold();
    StreamObserver<GenerateResponse> observer = sampler.held.take();

    Thread drain = new Thread(() -> server.drain(Duration.ZERO, LONG));
    drain.start();
    awaitRefusal();
    assertThat(call.isDone()).isFalse();
    FakeSampler.answer(7, observer);

    assertThat(call.get().getFirstIndex()).isEqualTo(7);
    drain.join();
  }

  @Test
  void drain_endsWatchesOnItsHealth_whichHearOfIt() throws Exception {
    server.setReady(true);
    Iterator<HealthCheckResponse> watch =
        HealthGrpc.newBlockingStub(connect())
            .watch(HealthCheckRequest.newBuilder().setService("dcgan.v1.SamplerService").build());
    assertThat(watch.next().getStatus()).isEqualTo(ServingStatus.SERVING);

    try (CapturedLog log = new CapturedLog(GrpcServer.class)) {
      server.drain(Duration.ZERO, LONG);
      assertThat(log.lines()).as("nothing was cut off").isEmpty();
    }

    assertThat(watch.next().getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
    assertThatThrownBy(watch::next)
        .isInstanceOf(StatusRuntimeException.class)
        .hasMessageStartingWith("UNAVAILABLE");
  }

  @Test
  void drain_afterItsGrace_cutsTheCallOffAndTellsItsHandler() throws Exception {
    ListenableFuture<GenerateResponse> call = hold();
    sampler.held.take();

    try (CapturedLog log = new CapturedLog(GrpcServer.class)) {
      server.drain(Duration.ZERO, Duration.ofMillis(1));
      assertThat(log.lines()).hasSize(1).first().asString().contains("cancelled");
    }

    assertThat(sampler.cancelled.getCount()).isZero();
    assertThatThrownBy(call::get)
        .isInstanceOf(ExecutionException.class)
        .hasMessageContaining("CANCELLED");
  }

  private ManagedChannel connect() {
    ManagedChannel connected =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    channels.add(connected);
    return connected;
  }

  private SamplerServiceGrpc.SamplerServiceBlockingStub stub() {
    return SamplerServiceGrpc.newBlockingStub(channel);
  }

  private long generate(long seed) {
    return stub().generate(FakeSampler.request(seed)).getFirstIndex();
  }

  private ListenableFuture<GenerateResponse> hold() {
    return SamplerServiceGrpc.newFutureStub(channel)
        .generate(FakeSampler.request(FakeSampler.HELD));
  }

  private ServingStatus health(String service) {
    return HealthGrpc.newBlockingStub(channel)
        .check(HealthCheckRequest.newBuilder().setService(service).build())
        .getStatus();
  }

  /** Returns when a health watch, as of a load balancer, has seen the status. */
  private void awaitHealth(ServingStatus expected) {
    var seen =
        HealthGrpc.newBlockingStub(channel)
            .watch(HealthCheckRequest.newBuilder().setService("dcgan.v1.SamplerService").build());
    while (seen.next().getStatus() != expected) {
      // The next one blocks until the status changes.
    }
  }

  /** Returns once new connections are refused; the test's time limit bounds it. */
  private void awaitRefusal() {
    while (true) {
      try {
        SamplerServiceGrpc.newBlockingStub(connect()).generate(FakeSampler.request(5));
      } catch (StatusRuntimeException e) {
        assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
        return;
      }
    }
  }

  private void assertRefused() {
    assertThatThrownBy(() -> generate(5))
        .isInstanceOf(StatusRuntimeException.class)
        .hasMessageContaining("UNAVAILABLE");
  }

  private List<String> servicesByReflection() throws Exception {
    CompletableFuture<List<String>> services = new CompletableFuture<>();
    var request =
        io.grpc.reflection.v1.ServerReflectionGrpc.newStub(channel)
            .serverReflectionInfo(
                new Answer<io.grpc.reflection.v1.ServerReflectionResponse>(services) {
                  @Override
                  List<String> read(io.grpc.reflection.v1.ServerReflectionResponse answer) {
                    return answer.getListServicesResponse().getServiceList().stream()
                        .map(io.grpc.reflection.v1.ServiceResponse::getName)
                        .toList();
                  }
                });
    request.onNext(
        io.grpc.reflection.v1.ServerReflectionRequest.newBuilder().setListServices("").build());
    return services.get();
  }

  @SuppressWarnings("deprecation") // The test is about the deprecated one.
  private List<String> servicesByOldReflection() throws Exception {
    CompletableFuture<List<String>> services = new CompletableFuture<>();
    var request =
        io.grpc.reflection.v1alpha.ServerReflectionGrpc.newStub(channel)
            .serverReflectionInfo(
                new Answer<io.grpc.reflection.v1alpha.ServerReflectionResponse>(services) {
                  @Override
                  List<String> read(io.grpc.reflection.v1alpha.ServerReflectionResponse answer) {
                    return answer.getListServicesResponse().getServiceList().stream()
                        .map(io.grpc.reflection.v1alpha.ServiceResponse::getName)
                        .toList();
                  }
                });
    request.onNext(
        io.grpc.reflection.v1alpha.ServerReflectionRequest.newBuilder()
            .setListServices("")
            .build());
    return services.get();
  }

  private abstract static class Answer<T> implements StreamObserver<T> {

    private final CompletableFuture<List<String>> services;

    Answer(CompletableFuture<List<String>> services) {
      this.services = services;
    }

    abstract List<String> read(T answer);

    @Override
    public void onNext(T answer) {
      services.complete(read(answer));
    }

    @Override
    public void onError(Throwable t) {
      services.completeExceptionally(t);
    }

    @Override
    public void onCompleted() {}
  }
}
