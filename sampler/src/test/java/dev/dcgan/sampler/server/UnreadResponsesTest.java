package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.grpc.InferenceGrpcService;
import dev.dcgan.sampler.grpc.SamplerGrpcService;
import dev.dcgan.sampler.models.EmptyVersionSource;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.GatedNetwork;
import dev.dcgan.sampler.scheduling.QueueWatch;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.ServingState;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetModelRequest;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import dev.dcgan.v1.inference.GRPCInferenceServiceGrpc;
import dev.dcgan.v1.inference.ModelInferRequest;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Callers that ask for more than they read, over sockets. */
@Timeout(120)
class UnreadResponsesTest {

  private static final int IMAGE = 14 * 14;
  private static final long ROOM = 4 << 20;

  /** Calls whose answers, or what streams have in memory of them, take a tenth of a MiB or more. */
  private enum Asked {
    IMAGES,
    STREAM,
    LATENTS,
    INFERENCE
  }

  @TempDir private Path root;

  private final GatedNetwork network = new GatedNetwork(TestModels.LATENT, IMAGE);
  private final ModelRegistry models = EmptyVersionSource.models();
  private final AtomicLong late = new AtomicLong();
  private final ResponseBudget budget =
      new ResponseBudget(ROOM, () -> System.nanoTime() + late.get());
  private final ExecutorService encoders = Executors.newFixedThreadPool(2);
  private final List<ManagedChannel> channels = new ArrayList<>();
  private GrpcServer server;

  @BeforeEach
  void serve() throws IOException {
    network.permit(Integer.MAX_VALUE);
    models.serve(
        ServedVersion.start(
            TestModels.publish(new ModelRepository(root), "digits", 1, 1),
            Provider.CPU,
            List.of(network),
            GatedNetwork.TIMES,
            new BatchingPolicy(1000, Duration.ZERO, 1_000_000),
            new QueueWatch()));
    PrometheusRegistry registry = new PrometheusRegistry();
    SamplerMetrics metrics = new SamplerMetrics(registry);
    ImageService images = new ImageService(models, budget, encoders);
    ModelService status = new ModelService(models, budget);
    server =
        GrpcServer.start(
            new GrpcServer.Config(0, false, Duration.ZERO, null),
            registry,
            new ServingState(),
            new SamplerGrpcService(images, status, metrics),
            List.of(new InferenceGrpcService(images, status, metrics, () -> true, () -> true)));
  }

  @AfterEach
  void end() throws InterruptedException {
    channels.forEach(ManagedChannel::shutdownNow);
    server.close();
    encoders.shutdown();
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    assertThat(network.awaitClosed()).as("all uses of the version were released").isTrue();
    assertThat(budget.reserved()).isZero();
  }

  @ParameterizedTest
  @EnumSource
  void clientThatReadsNothing_isRefused_andOthersAreServed(Asked asked) throws Exception {
    int calls = 200;
    BlockingQueue<Status> ended = new LinkedBlockingQueue<>();
    ManagedChannel deaf = connect();
    List<ClientCall<?, ?>> open = new ArrayList<>();
    for (int i = 0; i < calls; i++) {
      open.add(call(deaf, asked, 0, ended));
    }
    Status refused = ended.poll(60, TimeUnit.SECONDS);
    assertThat(refused).isNotNull();
    assertThat(refused.getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(refused.getDescription()).contains("unread responses of this connection take");
    // An answer takes 100 KiB or more.
    for (int i = 1; i < calls - ROOM / 2 / (100 << 10); i++) {
      assertThat(ended.poll(60, TimeUnit.SECONDS)).isNotNull();
    }
    assertThat(budget.reserved()).isBetween(ROOM / 4, ROOM / 2);

    SamplerServiceBlockingStub other = SamplerServiceGrpc.newBlockingStub(connect());
    for (int i = 0; i < 50; i++) {
      assertThat(other.generate(images(1000)).getPixels().size()).isEqualTo(1000 * IMAGE);
    }
    assertThat(other.getModel(GetModelRequest.getDefaultInstance()).getServingVersion())
        .isEqualTo(1);

    // What it hangs up on it may ask for again.
    open.forEach(call -> call.cancel("enough", null));
    awaitEmpty();
    SamplerServiceBlockingStub again = SamplerServiceGrpc.newBlockingStub(deaf);
    assertThat(again.generate(images(1000)).getCount()).isEqualTo(1000);
  }

  @ParameterizedTest
  @EnumSource
  void responseThatIsNotReadInTime_isCancelled(Asked asked) throws Exception {
    BlockingQueue<Status> ended = new LinkedBlockingQueue<>();
    ManagedChannel deaf = connect();
    ClientCall<?, ?> call = call(deaf, asked, 0, ended);
    while (budget.reserved() == 0) {
      TimeUnit.MILLISECONDS.sleep(1); // Until the test's time is up.
    }
    budget.unread().cancelStalled();
    assertThat(budget.reserved()).as("it is not yet late").isPositive();

    late.set(Duration.ofHours(1).toNanos());
    while (budget.reserved() > 0) {
      TimeUnit.MILLISECONDS.sleep(1); // Until it has been sent.
      late.addAndGet(Duration.ofHours(1).toNanos());
      budget.unread().cancelStalled();
    }
    call.request(1000);
    Status status = ended.poll(60, TimeUnit.SECONDS);
    assertThat(status).isNotNull();
    assertThat(status.getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(SamplerServiceGrpc.newBlockingStub(deaf).generate(images(1000)).getCount())
        .as("the connection is still of use")
        .isEqualTo(1000);
  }

  @Test
  void connectionThatDies_givesAllBack() throws Exception {
    BlockingQueue<Status> ended = new LinkedBlockingQueue<>();
    ManagedChannel deaf = connect();
    for (int i = 0; i < 100; i++) {
      call(deaf, Asked.IMAGES, 0, ended);
    }
    assertThat(ended.poll(60, TimeUnit.SECONDS)).isNotNull();
    assertThat(budget.reserved()).isPositive();
    deaf.shutdownNow();
    awaitEmpty();
  }

  @Test
  void callsThatAreReadInPart_orNot_orHungUpOn_leaveNothingTaken() throws Exception {
    Random random = new Random(1);
    BlockingQueue<Status> ended = new LinkedBlockingQueue<>();
    List<ClientCall<?, ?>> open = new ArrayList<>();
    ManagedChannel channel = connect();
    int calls = 4000;
    call(channel, Asked.IMAGES, 1, ended);
    assertThat(ended.poll(60, TimeUnit.SECONDS)).matches(Status::isOk);
    for (int i = 0; i < calls; i++) {
      Asked asked = Asked.values()[random.nextInt(Asked.values().length)];
      open.add(call(channel, asked, random.nextInt(4) * random.nextInt(50), ended));
      if (random.nextInt(3) > 0) {
        open.remove(random.nextInt(open.size())).cancel("a whim", null);
      }
      if (random.nextInt(10) == 0) {
        awaitTurn(channel);
      }
      if (random.nextInt(100) == 0) {
        channel.shutdownNow();
        channel = connect();
        open.clear();
      }
      assertThat(budget.reserved()).isBetween(0L, ROOM);
    }
    channels.forEach(ManagedChannel::shutdownNow);
    List<Status.Code> codes = new ArrayList<>();
    for (int i = 0; i < calls; i++) {
      Status status = ended.poll(60, TimeUnit.SECONDS);
      assertThat(status).isNotNull();
      codes.add(status.getCode());
    }
    assertThat(codes).contains(Status.Code.CANCELLED, Status.Code.RESOURCE_EXHAUSTED);
    awaitEmpty();
    assertThat(SamplerServiceGrpc.newBlockingStub(connect()).generate(images(3)).getCount())
        .isEqualTo(3);
  }

  private ManagedChannel connect() {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("127.0.0.1", server.port())
            .usePlaintext()
            .flowControlWindow(1024) // Else small answers leave for the client's memory unread.
            .build();
    channels.add(channel);
    return channel;
  }

  private static GenerateRequest images(int count) {
    return GenerateRequest.newBuilder()
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }

  /** Makes a call that reads so many answers and no more. */
  private static ClientCall<?, ?> call(
      ManagedChannel channel, Asked asked, int read, BlockingQueue<Status> ended) {
    return switch (asked) {
      case IMAGES ->
          call(channel, SamplerServiceGrpc.getGenerateMethod(), images(1000), read, ended);
      case STREAM ->
          call(channel, SamplerServiceGrpc.getGenerateStreamMethod(), images(9000), read, ended);
      case LATENTS ->
          call(
              channel,
              SamplerServiceGrpc.getGetLatentsMethod(),
              GetLatentsRequest.newBuilder().setCount(5000).build(),
              read,
              ended);
      case INFERENCE ->
          call(channel, GRPCInferenceServiceGrpc.getModelInferMethod(), inference(), read, ended);
    };
  }

  private static <Q, A> ClientCall<Q, A> call(
      ManagedChannel channel,
      MethodDescriptor<Q, A> method,
      Q request,
      int read,
      BlockingQueue<Status> ended) {
    ClientCall<Q, A> call = channel.newCall(method, CallOptions.DEFAULT);
    call.start(
        new ClientCall.Listener<>() {
          @Override
          public void onClose(Status status, Metadata trailers) {
            ended.add(status);
          }
        },
        new Metadata());
    call.sendMessage(request);
    call.halfClose();
    if (read > 0) {
      call.request(read);
    }
    return call;
  }

  private static ModelInferRequest inference() {
    int count = 500;
    return ModelInferRequest.newBuilder()
        .setModelName("digits")
        .addInputs(
            ModelInferRequest.InferInputTensor.newBuilder()
                .setName("z")
                .setDatatype("FP32")
                .addShape(count)
                .addShape(TestModels.LATENT))
        .addOutputs(ModelInferRequest.InferRequestedOutputTensor.newBuilder().setName("image"))
        .addRawInputContents(ByteString.copyFrom(new byte[count * TestModels.LATENT * Float.BYTES]))
        .build();
  }

  /** Waits for an answer, of whatever kind: calls before were seen by then. */
  private static void awaitTurn(ManagedChannel channel) {
    try {
      assertThat(SamplerServiceGrpc.newBlockingStub(channel).generate(images(1)).getCount())
          .isEqualTo(1);
    } catch (StatusRuntimeException e) {
      assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    }
  }

  private void awaitEmpty() throws InterruptedException {
    while (budget.reserved() > 0) {
      TimeUnit.MILLISECONDS.sleep(1); // Until the test's time is up.
    }
  }
}
