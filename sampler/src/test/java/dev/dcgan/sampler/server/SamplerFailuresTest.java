package dev.dcgan.sampler.server;

import static dev.dcgan.sampler.scheduling.FailingNetwork.DEVICE_LOST;
import static dev.dcgan.sampler.scheduling.FailingNetwork.OUT_OF_MEMORY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.rpc.RetryInfo;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.FailingNetwork;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetModelRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What callers, load balancers and supervisors see when the device fails, over real sockets. */
class SamplerFailuresTest {

  private static final String SERVICE = "dcgan.v1.SamplerService";
  private static final int SIZE = 14 * 14;

  @TempDir private Path root;

  private final FailingNetwork failing = new FailingNetwork(TestModels.LATENT, SIZE);
  private final GatedNetwork gated = new GatedNetwork(TestModels.LATENT, SIZE);
  private final CountDownLatch exited = new CountDownLatch(1);
  private final AtomicInteger exits = new AtomicInteger();
  private @Nullable SamplerServer sampler;
  private @Nullable ManagedChannel channel;

  @AfterEach
  void end() throws InterruptedException {
    gated.permit(1000);
    if (channel != null) {
      channel.shutdownNow();
    }
    if (sampler != null) {
      sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @Test
  void outOfMemory_thatPasses_isNotSeenByCallers() throws Exception {
    SamplerServiceBlockingStub stub = start(failing, Duration.ZERO);
    failing.fail(OUT_OF_MEMORY, OUT_OF_MEMORY);
    assertThat(stub.generate(request()).getCount()).isEqualTo(1);
    assertThat(get("/metrics").body())
        .contains("sampler_batch_failures_total{model=\"digits\",reason=\"out_of_memory\"} 2.0");
  }

  @Test
  void lastingOutOfMemory_isResourceExhausted_andServingGoesOn() throws Exception {
    SamplerServiceBlockingStub stub = start(failing, Duration.ZERO);
    failing.fail(OUT_OF_MEMORY, OUT_OF_MEMORY, OUT_OF_MEMORY);
    StatusRuntimeException refused = refusal(stub);
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(refused.getStatus().getDescription()).doesNotContain("bfc_arena", "Exception", "\n");
    com.google.rpc.Status status = StatusProto.fromThrowable(refused);
    assertThat(status.getDetails(0).unpack(RetryInfo.class).getRetryDelay().getSeconds())
        .isPositive();

    failing.fail(OUT_OF_MEMORY, OUT_OF_MEMORY, OUT_OF_MEMORY);
    HttpResponse<String> page = get("/v1/images?seed=1");
    assertThat(page.statusCode()).isEqualTo(429);
    assertThat(page.headers().firstValue("Retry-After")).isPresent();

    assertThat(stub.generate(request()).getCount()).isEqualTo(1);
    assertThat(stub.getModel(GetModelRequest.getDefaultInstance()).getAvailableVersionsList())
        .containsExactly(1L);
    assertThat(get("/metrics").body())
        .contains("sampler_batch_failures_total{model=\"digits\",reason=\"out_of_memory\"} 6.0")
        .contains("sampler_models_rejected_total{model=\"digits\"} 0.0");
    assertThat(get("/healthz").statusCode()).isEqualTo(200);
  }

  @Test
  void otherFailures_areInternal_andCounted() throws Exception {
    SamplerServiceBlockingStub stub = start(failing, Duration.ZERO);
    failing.fail("Error code - ORT_FAIL - message: CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED");
    StatusRuntimeException refused = refusal(stub);
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(refused.getStatus().getDescription()).doesNotContain("CUDNN");
    assertThat(get("/metrics").body())
        .contains("sampler_batch_failures_total{model=\"digits\",reason=\"other\"} 1.0")
        .contains("sampler_batch_failures_total{model=\"digits\",reason=\"timeout\"} 0.0");
  }

  @Test
  void lostDevice_isToldToAll_andEndsTheProcess() throws Exception {
    SamplerServiceBlockingStub stub = start(failing, Duration.ZERO);
    Iterator<HealthCheckResponse> live = health("");
    Iterator<HealthCheckResponse> ready = health(SERVICE);
    assertThat(live.next().getStatus()).isEqualTo(ServingStatus.SERVING);
    assertThat(ready.next().getStatus()).isEqualTo(ServingStatus.SERVING);
    assertThat(get("/healthz").statusCode()).isEqualTo(200);

    failing.fail(DEVICE_LOST);
    StatusRuntimeException refused = refusal(stub);
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(refused.getStatus().getDescription()).doesNotContain("CUDA", "Exception", "\n");
    assertThat(live.next().getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
    assertThat(ready.next().getStatus()).isEqualTo(ServingStatus.NOT_SERVING);

    awaitExit();
    for (String path : List.of("/healthz", "/readyz")) {
      HttpResponse<String> answer = get(path);
      assertThat(answer.statusCode()).as(path).isEqualTo(503);
      assertThat(answer.body().lines()).as(path).hasSize(1).allMatch(l -> l.contains("719"));
    }
    assertThat(failing.runs()).as("no run after the loss").isEqualTo(1);
    assertThat(get("/metrics").body())
        .contains("sampler_batch_failures_total{model=\"digits\",reason=\"device_lost\"} 1.0");
  }

  @Test
  void batchThatHangs_isALostDevice_forThoseWhoWaitBehindItToo() throws Exception {
    SamplerServiceBlockingStub stub = start(gated, Duration.ofMillis(200));
    Iterator<HealthCheckResponse> live = health("");
    assertThat(live.next().getStatus()).isEqualTo(ServingStatus.SERVING);
    var futures = SamplerServiceGrpc.newFutureStub(Objects.requireNonNull(channel));
    List<Future<GenerateResponse>> calls = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      calls.add(futures.generate(request()));
    }
    for (Future<GenerateResponse> call : calls) {
      ExecutionException e =
          catchThrowableOfType(ExecutionException.class, () -> call.get(30, TimeUnit.SECONDS));
      assertThat(Status.fromThrowable(e).getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    }
    assertThat(live.next().getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
    assertThat(refusal(stub).getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    awaitExit();
    assertThat(get("/healthz").body()).contains("--batch-timeout");
    assertThat(get("/metrics").body())
        .contains("sampler_batch_failures_total{model=\"digits\",reason=\"timeout\"} 1.0");
  }

  private SamplerServiceBlockingStub start(Network network, Duration batchTimeout)
      throws Exception {
    TestModels.publish(new ModelRepository(root), "digits", 1, 1);
    BatchingPolicy policy = new BatchingPolicy(1, Duration.ZERO, 100);
    SamplerServer started =
        SamplerServer.start(
            new SamplerServer.Config(
                new ModelWatcherConfig(
                    new ModelRepository(root),
                    List.of(),
                    Duration.ofMillis(10),
                    1,
                    0,
                    1,
                    false,
                    false),
                0,
                0,
                Duration.ZERO,
                null,
                new RuntimeSettings(Provider.CPU, 1, false, 0),
                "cpu",
                1,
                policy,
                batchTimeout),
            () -> {
              exits.incrementAndGet();
              exited.countDown();
            },
            (guard, metrics) ->
                bundle ->
                    ServedVersion.start(
                        bundle,
                        Provider.CPU,
                        List.of(network),
                        GatedNetwork.TIMES,
                        policy,
                        metrics.batches(bundle.name()),
                        guard));
    sampler = started;
    ManagedChannel open =
        Grpc.newChannelBuilder("127.0.0.1:" + started.port(), InsecureChannelCredentials.create())
            .build();
    channel = open;
    Iterator<HealthCheckResponse> ready = health(SERVICE);
    while (ready.next().getStatus() != ServingStatus.SERVING) {
      // It says so when there is a model.
    }
    return SamplerServiceGrpc.newBlockingStub(open);
  }

  private Iterator<HealthCheckResponse> health(String service) {
    return HealthGrpc.newBlockingStub(Objects.requireNonNull(channel))
        .withDeadlineAfter(Duration.ofSeconds(60))
        .watch(HealthCheckRequest.newBuilder().setService(service).build());
  }

  private void awaitExit() throws InterruptedException {
    assertThat(exited.await(60, TimeUnit.SECONDS)).isTrue();
    assertThat(exits).hasValue(1);
  }

  private HttpResponse<String> get(String path) throws IOException, InterruptedException {
    int port = Objects.requireNonNull(sampler).httpPort();
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path)).build(),
            HttpResponse.BodyHandlers.ofString());
  }

  private static StatusRuntimeException refusal(SamplerServiceBlockingStub stub) {
    return catchThrowableOfType(StatusRuntimeException.class, () -> stub.generate(request()));
  }

  private static GenerateRequest request() {
    return GenerateRequest.newBuilder()
        .setSeed(7)
        .setCount(1)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }
}
