package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The whole service over a real socket, with real models in ONNX Runtime. */
class SamplerServerTest {

  private static final int SIZE = 14 * 14;
  private static final String SERVICE = "dcgan.v1.SamplerService";

  @TempDir private Path root;

  private final ExecutorService callers = Executors.newFixedThreadPool(8);
  private @Nullable SamplerServer sampler;
  private @Nullable ManagedChannel channel;

  @AfterEach
  void end() throws InterruptedException {
    callers.shutdownNow();
    if (channel != null) {
      channel.shutdownNow();
    }
    if (sampler != null) {
      sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 32, 128})
  void imageOfASeed_isTheSameBytes_howeverItIsAskedFor(int maxBatch) throws Exception {
    TestModels.publish(repository(), "digits", 3, 1);
    SamplerServiceBlockingStub stub = startServing(maxBatch);
    int size = SIZE * 3;
    // The first run of all makes the reference: one image a call, without other calls.
    List<ByteString> alone = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      alone.add(stub.generate(raw(5).setFirstIndex(i).setCount(1).build()).getPixels());
    }
    assertThat(alone).doesNotHaveDuplicates();
    ByteString whole = ByteString.copyFrom(alone);

    assertThat(stub.generate(raw(5).setCount(40).build()).getPixels()).isEqualTo(whole);
    assertThat(stub.generate(raw(5).setFirstIndex(11).setCount(29).build()).getPixels())
        .isEqualTo(whole.substring(11 * size));
    assertThat(pixels(stub.generateStream(raw(5).setCount(40).build()))).isEqualTo(whole);

    List<Future<ByteString>> amongNeighbours = new ArrayList<>();
    for (int caller = 0; caller < 24; caller++) {
      GenerateRequest request = raw(caller % 3 == 0 ? 5 : caller).setCount(40).build();
      amongNeighbours.add(callers.submit(() -> stub.generate(request).getPixels()));
    }
    for (int caller = 0; caller < 24; caller += 3) {
      assertThat(get(amongNeighbours.get(caller))).isEqualTo(whole);
    }
  }

  @Test
  void images_areThoseOfTheNetworkThatWasPublished() throws Exception {
    TestModels.publish(repository(), "digits", 1, 4);
    GenerateResponse answer = startServing(32).generate(raw(9).setCount(20).build());
    GeneratorWeights weights = TestModels.weights(1, 4);
    for (int i = 0; i < 20; i++) {
      float[] z = Latents.of(9, i, TestModels.LATENT);
      float[] expected = TestModels.images(weights, z, 1);
      for (int k = 0; k < SIZE; k++) {
        double level = (expected[k] + 1) * 127.5;
        assertThat(answer.getPixels().byteAt(i * SIZE + k) & 0xFF)
            .isBetween((int) Math.floor(level - 1), (int) Math.ceil(level + 1));
      }
    }
  }

  @Test
  void formats_showTheSameImages() throws Exception {
    ModelBundle bundle = TestModels.publish(repository(), "digits", 3, 1);
    SamplerServiceBlockingStub stub = startServing(32);
    GenerateRequest.Builder request = raw(1).setCount(7);
    GenerateResponse raw = stub.generate(request.build());
    assertThat(raw.getModel()).isEqualTo(bundle.manifest().getModel());
    assertThat(raw.getShape()).isEqualTo(bundle.shape().toProto());
    assertThat(raw.getProvider()).isEqualTo("cpu");

    var floats =
        stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_FLOAT).build())
            .getFloats()
            .asReadOnlyByteBuffer()
            .order(ByteOrder.LITTLE_ENDIAN)
            .asFloatBuffer();
    assertThat(floats.remaining()).isEqualTo(raw.getPixels().size());
    for (int i = 0; i < floats.remaining(); i++) {
      assertThat(raw.getPixels().byteAt(i) & 0xFF)
          .isEqualTo((int) Math.rint((floats.get(i) + 1) * 127.5f));
    }

    GenerateResponse png =
        stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_UNSPECIFIED).build());
    for (int i = 0; i < 7; i++) {
      var raster = ImageIO.read(png.getPng(i).newInput()).getRaster();
      int[] decoded = raster.getPixels(0, 0, 14, 14, (int[]) null);
      int start = i * SIZE * 3;
      assertThat(decoded)
          .containsExactly(
              IntStream.range(start, start + SIZE * 3)
                  .map(k -> raw.getPixels().byteAt(k) & 0xFF)
                  .toArray());
    }
    var sheet =
        ImageIO.read(
            stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_SHEET).build())
                .getSheet()
                .newInput());
    assertThat(sheet.getWidth()).isEqualTo(2 + 5 * 16);
    assertThat(sheet.getHeight()).isEqualTo(2 + 2 * 16);
  }

  @Test
  void temperature_scalesTheLatent() throws Exception {
    TestModels.publish(repository(), "digits", 1, 1);
    SamplerServiceBlockingStub stub = startServing(32);
    ByteString plain = stub.generate(raw(1).setCount(5).build()).getPixels();
    assertThat(stub.generate(raw(1).setCount(5).setTemperature(1).build()).getPixels())
        .isEqualTo(plain);
    ByteString cool = stub.generate(raw(1).setCount(5).setTemperature(1e-6f).build()).getPixels();
    assertThat(cool).isNotEqualTo(plain);
    assertThat(cool.substring(0, SIZE))
        .as("the mean image")
        .isEqualTo(cool.substring(SIZE, 2 * SIZE));
  }

  @Test
  void emptyRepository_isNotServing_untilAModelAppears() throws Exception {
    SamplerServiceBlockingStub stub = start(32);
    awaitHealth(ServingStatus.NOT_SERVING);
    assertThat(HealthGrpc.newBlockingStub(channel()).check(HealthCheckRequest.getDefaultInstance()))
        .as("alive meanwhile")
        .isEqualTo(HealthCheckResponse.newBuilder().setStatus(ServingStatus.SERVING).build());

    TestModels.publish(repository(), "digits", 1, 1);
    awaitHealth(ServingStatus.SERVING);
    // One: two sessions may share more, where the model was measured on a busy machine.
    assertThat(stub.generate(raw(1).build()).getCount()).isEqualTo(1);
    assertThat(metrics())
        .contains("sampler_model_info{model=\"digits\",provider=\"cpu\"")
        .contains("sampler_models_loaded 1.0")
        .contains("sampler_model_pinned{model=\"digits\"} 0.0")
        .contains("sampler_model_version{model=\"digits\"} 1.0")
        .contains("sampler_model_newest_version{model=\"digits\"} 1.0")
        .contains("sampler_queued_images{model=\"digits\"} 0.0")
        .contains("sampler_execution_seconds_count{bucket=\"1\",model=\"digits\"} 1")
        .contains("sampler_provider_info{provider=\"cpu\",requested=\"auto\"} 1")
        .contains("sampler_images_total{format=\"raw\",model=\"digits\"} 1.0")
        .contains("sampler_batch_size_count{model=\"digits\"} 1")
        .contains("grpc_server_handled_total");
  }

  @Test
  void damagedNewestVersion_isSkipped_andTheOneBeforeServes() throws Exception {
    TestModels.publish(repository(), "digits", 1, 1);
    ModelBundle damaged = TestModels.publish(repository(), "digits", 1, 2);
    Path onnx = damaged.folder().resolve("model.onnx");
    byte[] bytes = Files.readAllBytes(onnx);
    byte[] flipped = bytes.clone();
    flipped[bytes.length / 2] ^= 1;
    Files.write(onnx, flipped);

    SamplerServiceBlockingStub stub = startServing(32);
    assertThat(stub.generate(raw(1).build()).getModel().getVersion()).isEqualTo(1);

    ModelBundle third = TestModels.publish(repository(), "digits", 1, 3);
    awaitVersion(stub, third.version());
    assertThat(metrics())
        .as("reported once, however often it was looked at")
        .contains("sampler_models_rejected_total{model=\"digits\"} 1.0");
  }

  @Test
  void damagedVersion_isTriedAgain_whenItsFilesHaveChanged() throws Exception {
    ModelBundle bundle = TestModels.publish(repository(), "digits", 1, 1);
    Path onnx = bundle.folder().resolve("model.onnx");
    byte[] bytes = Files.readAllBytes(onnx);
    Files.write(onnx, new byte[] {1});
    SamplerServiceBlockingStub stub = start(32);
    awaitMetric("sampler_models_rejected_total{model=\"digits\"} 1.0");

    Files.write(onnx, bytes);
    awaitHealth(ServingStatus.SERVING);
    assertThat(stub.generate(raw(1).build()).getModel().getVersion()).isEqualTo(1);
  }

  @Test
  void newVersions_takeOverUnderLoad_withoutAFailedRequest() throws Exception {
    TestModels.publish(repository(), "digits", 1, 1);
    SamplerServiceBlockingStub stub = startServing(8);
    List<CompletableFuture<ByteString>> seen =
        Stream.generate(CompletableFuture<ByteString>::new).limit(5).toList();
    List<Future<?>> load = new ArrayList<>();
    for (int caller = 0; caller < 4; caller++) {
      load.add(
          callers.submit(
              () -> {
                for (long version = 0; version < 4; ) {
                  GenerateResponse answer = stub.generate(raw(3).setCount(5).build());
                  version = answer.getModel().getVersion();
                  CompletableFuture<ByteString> first = seen.get((int) version);
                  first.complete(answer.getPixels());
                  assertThat(answer.getPixels()).isEqualTo(first.join());
                }
                return null;
              }));
    }
    List<ByteString> images = new ArrayList<>();
    for (int version = 1; version <= 4; version++) {
      images.add(get(seen.get(version)));
      if (version < 4) {
        TestModels.publish(repository(), "digits", 1, version + 1);
      }
    }
    for (Future<?> caller : load) {
      caller.get(60, TimeUnit.SECONDS);
    }
    assertThat(images).doesNotHaveDuplicates();
  }

  @Test
  void stream_ofManyImages_comesInChunksBelowOneMiB() throws Exception {
    TestModels.publish(repository(), "digits", 3, 1);
    SamplerServiceBlockingStub stub = startServing(4096);
    Iterator<GenerateResponse> answers =
        stub.generateStream(
            raw(1).setCount(2000).setFormat(ImageFormat.IMAGE_FORMAT_FLOAT).build());
    int images = 0;
    while (answers.hasNext()) {
      GenerateResponse answer = answers.next();
      assertThat(answer.getSerializedSize()).isLessThan(1 << 20);
      assertThat(answer.getFloats().size()).isEqualTo(answer.getCount() * SIZE * 3 * 4);
      images += answer.getCount();
    }
    assertThat(images).isEqualTo(2000);
  }

  @Test
  @SuppressWarnings("deprecation") // v1alpha is what is asked about.
  void reflection_answersInBothVersions() throws Exception {
    start(32);
    Answer<io.grpc.reflection.v1.ServerReflectionResponse> v1 = new Answer<>();
    var ask1 =
        io.grpc.reflection.v1.ServerReflectionGrpc.newStub(channel()).serverReflectionInfo(v1);
    ask1.onNext(
        io.grpc.reflection.v1.ServerReflectionRequest.newBuilder()
            .setFileContainingSymbol(SERVICE)
            .build());
    assertThat(v1.get().getFileDescriptorResponse().getFileDescriptorProtoCount()).isPositive();
    ask1.onCompleted();

    Answer<io.grpc.reflection.v1alpha.ServerReflectionResponse> alpha = new Answer<>();
    var askAlpha =
        io.grpc.reflection.v1alpha.ServerReflectionGrpc.newStub(channel())
            .serverReflectionInfo(alpha);
    askAlpha.onNext(
        io.grpc.reflection.v1alpha.ServerReflectionRequest.newBuilder()
            .setListServices("")
            .build());
    assertThat(alpha.get().getListServicesResponse().getServiceList())
        .extracting(service -> service.getName())
        .contains(SERVICE, "inference.GRPCInferenceService");
    askAlpha.onCompleted();
  }

  /** Starts, whether or not there is a model. */
  private SamplerServiceBlockingStub start(int maxBatch) throws IOException {
    return start(config(maxBatch));
  }

  private SamplerServiceBlockingStub start(SamplerServer.Config config) throws IOException {
    SamplerServer started = SamplerServer.start(config, () -> {});
    sampler = started;
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + started.port(), InsecureChannelCredentials.create())
            .build();
    return SamplerServiceGrpc.newBlockingStub(channel);
  }

  private SamplerServiceBlockingStub startServing(int maxBatch) throws IOException {
    SamplerServiceBlockingStub stub = start(maxBatch);
    awaitHealth(ServingStatus.SERVING);
    return stub;
  }

  private SamplerServer.Config config(int maxBatch) {
    return new SamplerServer.Config(
        new ModelWatcherConfig(
            repository(), List.of(), Duration.ofMillis(10), 1, 0, 1, false, false),
        0,
        0,
        Duration.ZERO,
        null,
        new RuntimeSettings(Provider.CPU, 1, false, 0),
        "auto",
        2,
        new BatchingPolicy(maxBatch, Duration.ofMillis(2), 8192),
        Duration.ZERO);
  }

  private ManagedChannel channel() {
    return Objects.requireNonNull(channel);
  }

  /** Follows the service's health until it is so. */
  private void awaitHealth(ServingStatus status) {
    Iterator<HealthCheckResponse> changes =
        HealthGrpc.newBlockingStub(channel())
            .withDeadlineAfter(Duration.ofSeconds(60))
            .watch(HealthCheckRequest.newBuilder().setService(SERVICE).build());
    ServingStatus found;
    do {
      found = changes.next().getStatus();
    } while (found != status);
  }

  private ModelRepository repository() {
    return new ModelRepository(root);
  }

  private String metrics() throws IOException, InterruptedException {
    int port = Objects.requireNonNull(sampler).httpPort();
    URI uri = URI.create("http://127.0.0.1:" + port + "/metrics");
    return HttpClient.newHttpClient()
        .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
        .body();
  }

  private void awaitMetric(String line) throws IOException, InterruptedException {
    long start = System.nanoTime();
    while (!metrics().contains(line)) {
      assertThat(System.nanoTime() - start).as(line).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  private static void awaitVersion(SamplerServiceBlockingStub stub, long version) {
    long start = System.nanoTime();
    while (stub.generate(raw(1).build()).getModel().getVersion() < version) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  private static ByteString pixels(Iterator<GenerateResponse> answers) {
    ByteString all = ByteString.EMPTY;
    while (answers.hasNext()) {
      all = all.concat(answers.next().getPixels());
    }
    return all;
  }

  private static GenerateRequest.Builder raw(long seed) {
    return GenerateRequest.newBuilder()
        .setSeed(seed)
        .setCount(1)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }

  private static <T> T get(Future<T> future) throws Exception {
    return future.get(60, TimeUnit.SECONDS);
  }

  /** The first answer on a stream. */
  private static final class Answer<T> implements StreamObserver<T> {

    private final CompletableFuture<T> first = new CompletableFuture<>();

    T get() throws Exception {
      return SamplerServerTest.get(first);
    }

    @Override
    public void onNext(T value) {
      first.complete(value);
    }

    @Override
    public void onError(Throwable t) {
      first.completeExceptionally(t);
    }

    @Override
    public void onCompleted() {}
  }
}
