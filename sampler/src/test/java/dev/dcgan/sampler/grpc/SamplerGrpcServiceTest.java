package dev.dcgan.sampler.grpc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.Durations;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ModelWatcher;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.models.NoModelListener;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.sampler.server.TestModels;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Requests over a socket, with a network that the test holds back. */
class SamplerGrpcServiceTest {

  private static final int MAX_BATCH = 4;

  /** Of which one caller may have 15. */
  private static final int MAX_QUEUE = 20;

  @TempDir private Path root;

  private final GatedNetwork network = new GatedNetwork(TestModels.LATENT, 14 * 14);
  private final QueueWatch watch = new QueueWatch();
  private final ModelRegistry models = EmptyVersionSource.models();
  private ServedVersion model;
  private GrpcServer server;
  private ManagedChannel channel;
  private SamplerServiceBlockingStub stub;

  @BeforeEach
  void serve() throws IOException {
    model =
        ServedVersion.start(
            TestModels.publish(new ModelRepository(root), "digits", 1, 1),
            Provider.CPU,
            List.of(network),
            GatedNetwork.TIMES,
            new BatchingPolicy(MAX_BATCH, Duration.ZERO, MAX_QUEUE),
            watch);
    models.serve(model);
    PrometheusRegistry registry = new PrometheusRegistry();
    server = GrpcServer.start(0, service(models), registry);
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    stub = SamplerServiceGrpc.newBlockingStub(channel);
  }

  @AfterEach
  void end() throws InterruptedException {
    channel.shutdownNow();
    network.permit(1000);
    server.drain(Duration.ZERO, Duration.ofSeconds(10));
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    assertThat(network.awaitClosed()).as("all uses of the version were released").isTrue();
  }

  @Test
  void badArguments_nameTheFieldAndWhatWasExpected() throws IOException {
    assertInvalid(request().setCount(0), "count", "expected 1 or more");
    assertInvalid(request().setFirstIndex(Long.MAX_VALUE).setCount(2), "first_index", "2^63");
    assertInvalid(request().setFirstIndex(-1), "first_index", "18446744073709551615");
    assertInvalid(request().setFormatValue(9), "format", "SHEET (4)");
    assertInvalid(request().setTemperature(0), "temperature", "above 0, at most 2");
    assertInvalid(request().setTemperature(2.5f), "temperature", "2.5");
    assertInvalid(request().setTemperature(Float.NaN), "temperature", "NaN");
    assertInvalid(request().setCount(-1), "count", "count 4294967295 exceeds 15 images");
    assertInvalid(request().setCount(17), "count", "use GenerateStream");
    assertInvalid(
        request().setCount(17).setFormat(ImageFormat.IMAGE_FORMAT_SHEET), "count", "request fewer");
  }

  @Test
  void lastImageOfTheSequence_isServed() {
    network.permit(1);
    assertThat(stub.generate(request().setFirstIndex(Long.MAX_VALUE).build()).getCount())
        .isEqualTo(1);
  }

  @Test
  void sheet_asAStream_isRefused() {
    StatusRuntimeException refused =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () ->
                stub.generateStream(request().setFormat(ImageFormat.IMAGE_FORMAT_SHEET).build())
                    .next());
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(refused.getStatus().getDescription()).contains("use Generate");
  }

  @Test
  void unknownModelOrVersion_isNotFound() {
    StatusRuntimeException version = refusal(request().setVersion(2));
    assertThat(version.getStatus().getCode()).isEqualTo(Status.Code.NOT_FOUND);
    assertThat(version.getStatus().getDescription())
        .isEqualTo("version 2 of digits is not in the repository; it has 1");
    StatusRuntimeException name = refusal(request().setModel("cats"));
    assertThat(name.getStatus().getCode()).isEqualTo(Status.Code.NOT_FOUND);
    assertThat(name.getStatus().getDescription())
        .isEqualTo("model 'cats' is not served; 'digits' is");
    StatusRuntimeException odd = refusal(request().setModel("a\n" + "b".repeat(100_000)));
    assertThat(odd.getStatus().getCode()).isEqualTo(Status.Code.NOT_FOUND);
    assertThat(odd.getStatus().getDescription()).startsWith("model 'a?bbb").hasSizeLessThan(200);

    network.permit(1);
    assertThat(stub.generate(request().setModel("digits").setVersion(1).build()).getModel())
        .isEqualTo(model.version());
  }

  @Test
  void fullQueue_isRefused_withWhenToComeBack() throws Exception {
    Future<GenerateResponse> running = occupy();
    Future<GenerateResponse> queued = later(request().setCount(15));
    watch.awaitQueued(15);

    StatusRuntimeException full = refusal(request().setCount(2));
    assertThat(full.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(full.getStatus().getDescription()).contains("15 images are queued of at most 20");
    assertThat(Durations.toMillis(detail(full, RetryInfo.class).getRetryDelay())).isEqualTo(1);

    network.permit(10);
    assertThat(running.get(30, TimeUnit.SECONDS).getCount()).isEqualTo(1);
    assertThat(queued.get(30, TimeUnit.SECONDS).getCount()).isEqualTo(15);
  }

  @Test
  void cancelledCall_freesTheQueue() throws Exception {
    Future<GenerateResponse> running = occupy();
    Future<GenerateResponse> queued = later(request().setCount(15));
    watch.awaitQueued(15);
    queued.cancel(true);
    watch.awaitQueued(0);
    assertThat(running.isDone()).isFalse();
  }

  @Test
  void expiredCall_freesTheQueue() throws Exception {
    Future<GenerateResponse> running = occupy();
    StatusRuntimeException expired =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () ->
                stub.withDeadlineAfter(Duration.ofMillis(300))
                    .generate(request().setCount(15).build()));
    assertThat(expired.getStatus().getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED);
    watch.awaitQueued(0);
    assertThat(running.isDone()).isFalse();
  }

  @Test
  void cancelledStream_freesTheQueue() throws Exception {
    Future<GenerateResponse> running = occupy();
    CancellableContext context = Context.current().withCancellation();
    context.run(() -> stub.generateStream(request().setCount(1_000_000).build()));
    watch.awaitQueued(2 * (MAX_QUEUE / 4));
    context.cancel(new CancellationException("enough"));
    watch.awaitQueued(0);
    assertThat(running.isDone()).isFalse();
  }

  @Test
  void stream_staysWithItsVersion_whileNewRequestsGetTheNext() throws Exception {
    Iterator<GenerateResponse> answers = stub.generateStream(request().setCount(40).build());
    network.awaitStarted();
    GatedNetwork second = new GatedNetwork(TestModels.LATENT, 14 * 14);
    second.permit(1000);
    ServedVersion next =
        ServedVersion.start(
            TestModels.publish(new ModelRepository(root), "digits", 1, 2),
            Provider.CPU,
            List.of(second),
            GatedNetwork.TIMES,
            model.scheduler().policy(),
            watch);
    models.serve(next);

    assertThat(stub.generate(request().build()).getModel().getVersion()).isEqualTo(2);
    network.permit(1000);
    int images = 0;
    while (answers.hasNext()) {
      GenerateResponse answer = answers.next();
      assertThat(answer.getModel()).isEqualTo(model.version());
      assertThat(answer.getFirstIndex()).isEqualTo(images);
      images += answer.getCount();
    }
    assertThat(images).isEqualTo(40);
    assertThat(network.awaitClosed()).as("the old version closes after its last user").isTrue();
  }

  @Test
  void failedRun_isInternal_withoutDetail() {
    network.breakDown();
    network.permit(1);
    StatusRuntimeException failed = refusal(request());
    assertThat(failed.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(failed.getStatus().getDescription()).doesNotContain("broken");
  }

  @Test
  void faultBeforeTheQueue_isInternal_andReleasesTheVersion() throws Exception {
    // One latent of the manifest's size is not a whole number of this network's.
    GatedNetwork other = new GatedNetwork(TestModels.LATENT + 1, 14 * 14);
    models.serve(
        ServedVersion.start(
            TestModels.publish(new ModelRepository(root), "digits", 1, 2),
            Provider.CPU,
            List.of(other),
            GatedNetwork.TIMES,
            model.scheduler().policy(),
            watch));
    assertThat(refusal(request()).getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
    StatusRuntimeException streamed =
        catchThrowableOfType(
            StatusRuntimeException.class, () -> stub.generateStream(request().build()).next());
    assertThat(streamed.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);

    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    assertThat(other.awaitClosed()).isTrue();
  }

  @Test
  void versionOnDemand_isLoaded_evenIfOneOfItsClientsIsGone() throws Exception {
    ModelRepository repository = new ModelRepository(root);
    TestModels.publish(repository, "digits", 1, 2);
    CountDownLatch loading = new CountDownLatch(1);
    Semaphore gate = new Semaphore(0);
    GatedNetwork old = new GatedNetwork(TestModels.LATENT, 14 * 14);
    old.permit(1000);
    PrometheusRegistry registry = new PrometheusRegistry();
    ModelWatcher watcher =
        new ModelWatcher(
            new ModelWatcherConfig(
                repository, List.of(), Duration.ofHours(1), 1, 1 << 20, 1, false, false),
            bundle -> {
              if (bundle.version() == 1) {
                loading.countDown();
                gate.acquireUninterruptibly();
              }
              return ServedVersion.start(
                  bundle,
                  Provider.CPU,
                  List.of(
                      bundle.version() == 1 ? old : new GatedNetwork(TestModels.LATENT, 14 * 14)),
                  GatedNetwork.TIMES,
                  model.scheduler().policy(),
                  watch);
            },
            new NoModelListener());
    CountDownLatch ready = new CountDownLatch(1);
    watcher.start(ready::countDown);
    GrpcServer other = GrpcServer.start(0, service(watcher.models()), registry);
    ManagedChannel toOther =
        Grpc.newChannelBuilder("127.0.0.1:" + other.port(), InsecureChannelCredentials.create())
            .build();
    try {
      assertThat(ready.await(30, TimeUnit.SECONDS)).isTrue();
      GenerateRequest.Builder request = request().setVersion(1);
      var patient = SamplerServiceGrpc.newFutureStub(toOther);
      Future<GenerateResponse> first = patient.generate(request.build());
      assertThat(loading.await(30, TimeUnit.SECONDS)).isTrue();
      StatusRuntimeException expired =
          catchThrowableOfType(
              StatusRuntimeException.class,
              () ->
                  SamplerServiceGrpc.newBlockingStub(toOther)
                      .withDeadlineAfter(Duration.ofMillis(300))
                      .generate(request.build()));
      assertThat(expired.getStatus().getCode()).isEqualTo(Status.Code.DEADLINE_EXCEEDED);
      Iterator<GenerateResponse> stream =
          SamplerServiceGrpc.newBlockingStub(toOther)
              .generateStream(request.clone().setCount(40).build());
      gate.release();
      assertThat(first.get(30, TimeUnit.SECONDS).getModel().getVersion()).isEqualTo(1);
      int images = 0;
      while (stream.hasNext()) {
        images += stream.next().getCount();
      }
      assertThat(images).isEqualTo(40);
    } finally {
      gate.release();
      toOther.shutdownNow();
      watcher.close();
      other.drain(Duration.ZERO, Duration.ofSeconds(10));
      assertThat(watcher.awaitClosed(Duration.ofSeconds(30))).isTrue();
      assertThat(watcher.models().close(Duration.ofSeconds(30))).isTrue();
      assertThat(old.awaitClosed()).as("all uses of the version were released").isTrue();
    }
  }

  @Test
  void withoutAModel_callsAreUnavailable() throws InterruptedException {
    network.permit(1000);
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    assertThat(refusal(request()).getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
  }

  private static SamplerGrpcService service(ModelRegistry models) {
    ResponseBudget budget = new ResponseBudget(1L << 30);
    return new SamplerGrpcService(
        new ImageService(models, budget, Runnable::run),
        new ModelService(models, budget),
        result -> {});
  }

  private void assertInvalid(GenerateRequest.Builder request, String field, String description)
      throws InvalidProtocolBufferException {
    StatusRuntimeException refused = refusal(request);
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    BadRequest.FieldViolation violation = detail(refused, BadRequest.class).getFieldViolations(0);
    assertThat(violation.getField()).isEqualTo(field);
    assertThat(violation.getDescription()).contains(description);
  }

  private StatusRuntimeException refusal(GenerateRequest.Builder request) {
    return catchThrowableOfType(StatusRuntimeException.class, () -> stub.generate(request.build()));
  }

  private static <T extends com.google.protobuf.Message> T detail(
      StatusRuntimeException e, Class<T> type) throws InvalidProtocolBufferException {
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    assertThat(status).isNotNull();
    return status.getDetails(0).unpack(type);
  }

  /** Calls for one image, and waits until it runs. */
  private Future<GenerateResponse> occupy() throws InterruptedException {
    Future<GenerateResponse> running = later(request());
    network.awaitStarted();
    return running;
  }

  private Future<GenerateResponse> later(GenerateRequest.Builder request) {
    return SamplerServiceGrpc.newFutureStub(channel).generate(request.build());
  }

  private static GenerateRequest.Builder request() {
    return GenerateRequest.newBuilder()
        .setSeed(7)
        .setCount(1)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }
}
