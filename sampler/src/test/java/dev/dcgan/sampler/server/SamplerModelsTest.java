package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.ByteString;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.trainer.gan.GeneratorWeights;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetModelRequest;
import dev.dcgan.v1.GoldenVector;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.ModelManifest;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import dev.dcgan.v1.ServedModel;
import dev.dcgan.v1.SetServingVersionRequest;
import dev.dcgan.v1.SkippedPath;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.assertj.core.api.AbstractStringAssert;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several models and versions over a real socket, in ONNX Runtime. */
class SamplerModelsTest {

  private static final String SERVICE = "dcgan.v1.SamplerService";

  @TempDir private Path root;

  private final ExecutorService callers = Executors.newFixedThreadPool(8);
  private @Nullable SamplerServer sampler;
  private @Nullable ManagedChannel channel;

  @AfterEach
  void end() throws InterruptedException {
    callers.shutdownNow();
    stop();
  }

  @Test
  void twoModels_areServedAtOnce_eachByItsName() throws Exception {
    publish("cats", 1);
    publish("digits", 2);
    SamplerServiceBlockingStub stub = start();
    GenerateResponse cats = stub.generate(raw("cats", 0).build());
    GenerateResponse digits = stub.generate(raw("digits", 1).build());
    assertThat(cats.getModel().getName()).isEqualTo("cats");
    assertThat(digits.getModel().getName()).isEqualTo("digits");
    assertThat(cats.getPixels()).isNotEqualTo(digits.getPixels());

    assertRefused(stub, raw("", 0), Status.Code.INVALID_ARGUMENT)
        .isEqualTo("several models are served (cats, digits): say which");
    assertRefused(stub, raw("faces", 0), Status.Code.NOT_FOUND)
        .isEqualTo("model 'faces' is not served; 'cats', 'digits' are");
    assertThat(stub.listModels(ListModelsRequest.getDefaultInstance()).getModelsList())
        .extracting(model -> model.getManifest().getModel().getName())
        .containsExactly("cats", "digits");
    assertThat(metrics())
        .contains("sampler_model_info{model=\"cats\"", "sampler_model_info{model=\"digits\"")
        .contains("sampler_models_loaded 2.0")
        .contains(
            "sampler_swaps_total{model=\"cats\"} 0.0", "sampler_swaps_total{model=\"digits\"} 0.0");
  }

  @Test
  void skippedPaths_areListed_relativeToTheRepository() throws Exception {
    publish("digits", 1);
    publish("digits", 2);
    Path onnx = root.resolve("digits/2/model.onnx");
    byte[] damaged = Files.readAllBytes(onnx);
    damaged[damaged.length / 2]++;
    Files.write(onnx, damaged);
    Files.createDirectories(root.resolve("digits/3"));
    Files.createDirectories(root.resolve("Upper/1"));
    Files.copy(root.resolve("digits/1/model.onnx"), root.resolve("Upper/1/model.onnx"));
    Files.createSymbolicLink(root.resolve("gone"), root.resolve("a/b"));
    Files.createSymbolicLink(root.resolve("lost"), Path.of("/srv/other/c"));
    SamplerServiceBlockingStub stub = start();

    ListModelsResponse listed = stub.listModels(ListModelsRequest.getDefaultInstance());
    assertThat(listed.getModelsList()).hasSize(1);
    assertThat(listed.getSkippedList())
        .extracting(SkippedPath::getPath)
        .containsExactly("Upper", "digits/2", "digits/3", "gone", "lost");
    assertThat(listed.getSkippedTotal()).isEqualTo(5);
    assertThat(listed.getSkippedList())
        .extracting(SkippedPath::getReason)
        .allSatisfy(reason -> assertThat(reason).doesNotContain(root.toString(), " /"))
        .satisfiesExactly(
            reason -> assertThat(reason).contains("rename the folder"),
            reason -> assertThat(reason).startsWith("model.onnx has SHA-256"),
            reason -> assertThat(reason).contains("model.onnx is missing"),
            reason -> assertThat(reason).endsWith("link to a/b"),
            reason -> assertThat(reason).endsWith("link to c"));
    assertRefused(stub, raw("digits", 2), Status.Code.NOT_FOUND)
        .contains("digits/2/model.onnx has SHA-256")
        .doesNotContain(root.toString());
  }

  @Test
  void olderVersions_areLoadedOnDemand_andDescribed() throws Exception {
    ModelBundle first = publish("digits", 1);
    ModelBundle second = publish("digits", 2);
    publish("digits", 3);
    // Room for one of them.
    SamplerServiceBlockingStub stub =
        start(List.of(), 1, first.manifest().getOnnxBytes() * 3 / 2, false);
    assertThat(get(stub, 0))
        .returns(3L, ServedModel::getServingVersion)
        .returns(0L, ServedModel::getPinnedVersion)
        .returns("cpu", ServedModel::getProvider)
        .returns(List.of(3L, 2L, 1L), ServedModel::getAvailableVersionsList);
    assertThat(get(stub, 1))
        .returns(first.manifest(), ServedModel::getManifest)
        .returns(3L, ServedModel::getServingVersion);
    assertThat(metrics()).as("described only").contains("sampler_on_demand_loads_total 0.0");

    GenerateResponse old = stub.generate(raw("digits", 1).build());
    assertThat(old.getModel()).isEqualTo(first.manifest().getModel());
    Iterator<GenerateResponse> stream = stub.generateStream(raw("digits", 2).setCount(500).build());
    int images = 0;
    while (stream.hasNext()) {
      GenerateResponse answer = stream.next();
      assertThat(answer.getModel()).isEqualTo(second.manifest().getModel());
      images += answer.getCount();
    }
    assertThat(images).isEqualTo(500);
    assertThat(stub.generate(raw("digits", 1).build()).getPixels()).isEqualTo(old.getPixels());
    awaitMetric("sampler_on_demand_loads_total 3.0");
    awaitMetric("sampler_models_loaded 2.0");
    assertRefused(stub, raw("digits", 7), Status.Code.NOT_FOUND)
        .isEqualTo("version 7 of digits is not in the repository; it has 1, 2, 3");
    assertRefused(stub, raw("digits", -1), Status.Code.NOT_FOUND)
        .startsWith("version 18446744073709551615 of digits");
  }

  @Test
  void whileItDrains_olderVersionsAreStillLoaded() throws Exception {
    publish("digits", 1);
    publish("digits", 2);
    SamplerServiceBlockingStub stub = start(List.of(), 1, 1 << 20, false);
    SamplerServer draining = Objects.requireNonNull(sampler);
    Thread drain =
        new Thread(
            () -> {
              try {
                draining.drain(Duration.ofHours(1), Duration.ofSeconds(30));
              } catch (InterruptedException e) {
                // Enough was seen; the test's end drains without a delay.
              }
            });
    drain.start();
    awaitHealth(ServingStatus.NOT_SERVING);
    assertThat(stub.generate(raw("digits", 1).build()).getModel().getVersion()).isEqualTo(1);
    drain.interrupt();
    drain.join();
  }

  @Test
  void withoutMemoryForIt_anOlderVersionIsRefused() throws Exception {
    publish("digits", 1);
    publish("digits", 2);
    SamplerServiceBlockingStub stub = start(List.of(), 1, 0, false);
    assertRefused(stub, raw("digits", 1), Status.Code.NOT_FOUND)
        .startsWith("there is no room for version 1 of digits: it takes ")
        .contains("--model-memory");
  }

  @Test
  void badVersions_areSkipped_andTheVersionBeforeServesOn() throws Exception {
    publish("digits", 1);
    Path damaged = publish("digits", 2).folder().resolve("model.onnx");
    byte[] bytes = Files.readAllBytes(damaged);
    bytes[bytes.length / 2] ^= 1;
    Files.write(damaged, bytes);
    Path truncated = publish("digits", 3).folder().resolve("model.onnx");
    Files.write(truncated, Arrays.copyOf(Files.readAllBytes(truncated), 1000));
    edit(publish("digits", 4), "\"sha256\": \"", "\"sha256\": \"0");
    publish(m -> m.setShape(m.getShapeBuilder().setHeight(7).setWidth(28)));
    GoldenVector other = TestModels.golden(TestModels.weights(1, 99)).get(0);
    publish(m -> m.setGolden(0, m.getGolden(0).toBuilder().setPixels(other.getPixels())));
    edit(publish("digits", 7), "\"formatVersion\": 2", "\"formatVersion\": 1");
    Path halfWritten = publish("digits", 8).folder().resolve("manifest.json");
    Files.writeString(halfWritten, Files.readString(halfWritten).substring(0, 200));

    SamplerServiceBlockingStub stub = start();
    assertThat(stub.generate(raw("", 0).build()).getModel().getVersion()).isEqualTo(1);
    assertThat(get(stub, 0).getAvailableVersionsList()).containsExactly(1L);
    for (long version = 2; version <= 8; version++) {
      assertRefused(stub, raw("digits", version), Status.Code.NOT_FOUND)
          .startsWith("version " + version + " of digits cannot be used: ");
    }
    awaitMetric("sampler_models_rejected_total{model=\"digits\"} 7.0"); // Once they have settled.
    publish("digits", 9);
    awaitVersion(stub, 9);
    assertThat(metrics()).contains("sampler_models_rejected_total{model=\"digits\"} 7.0");
  }

  @Test
  void pinnedVersion_survivesARestart_andIsUnpinned() throws Exception {
    publish("digits", 1);
    publish("digits", 2);
    SamplerServiceBlockingStub stub = start();
    assertThat(setServing(stub, 1))
        .returns(1L, ServedModel::getServingVersion)
        .returns(1L, ServedModel::getPinnedVersion);
    assertThat(stub.generate(raw("", 0).build()).getModel().getVersion()).isEqualTo(1);
    publish("digits", 3);
    awaitMetric("sampler_model_newest_version{model=\"digits\"} 3.0");
    assertThat(metrics())
        .contains("sampler_model_pinned{model=\"digits\"} 1.0", "version=\"1\"")
        .contains("sampler_swaps_total{model=\"digits\"} 1.0")
        .contains("sampler_model_version{model=\"digits\"} 1.0")
        .doesNotContain("version=\"2\"");
    stop();

    SamplerServiceBlockingStub again = start();
    assertThat(get(again, 0))
        .returns(1L, ServedModel::getServingVersion)
        .returns(1L, ServedModel::getPinnedVersion)
        .returns(List.of(3L, 2L, 1L), ServedModel::getAvailableVersionsList);
    assertThat(setServing(again, 0))
        .returns(3L, ServedModel::getServingVersion)
        .returns(0L, ServedModel::getPinnedVersion);
  }

  @Test
  void setServingVersion_isForbidden_unlessAllowed() throws Exception {
    publish("digits", 1);
    SamplerServiceBlockingStub stub =
        start(new ModelWatcherConfig(repository(), List.of(), poll(), 1, 0, 1, false, false));
    StatusRuntimeException refused =
        catchThrowableOfType(StatusRuntimeException.class, () -> setServing(stub, 1));
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.PERMISSION_DENIED);
    assertThat(refused.getStatus().getDescription()).contains("--allow-pin");
    assertThat(repository().pinFile("digits")).doesNotExist();
  }

  @Test
  void modelWithoutAManifest_isServed_whereThatIsAllowed() throws Exception {
    Path folder = Files.createDirectories(root.resolve("cats/4"));
    Files.write(folder.resolve("model.onnx"), TestModels.onnx(TestModels.weights(3, 1)));
    Files.writeString(root.resolve("cats/config.pbtxt"), "name: \"cats\"");
    publish("digits", 1);

    SamplerServiceBlockingStub careful = start(List.of(), 1, 0, false);
    assertRefused(careful, raw("cats", 0), Status.Code.UNAVAILABLE)
        .startsWith("no version of cats can be served now: version 4: cannot verify cats/4: ")
        .contains("--allow-unverified");
    stop();
    SamplerServiceBlockingStub stub = start(List.of("cats"), 1, 0, true);
    GenerateResponse answer = stub.generate(raw("", 0).build());
    assertThat(answer.getModel().getVersion()).isEqualTo(4);
    assertThat(answer.getPixels().size()).isEqualTo(14 * 14 * 3);
    ServedModel cats = stub.getModel(GetModelRequest.getDefaultInstance());
    assertThat(cats.getUnverified()).isTrue();
    assertThat(cats.getManifest().getLatentSize()).isEqualTo(TestModels.LATENT);
    assertThat(cats.getManifest().getModel()).isEqualTo(answer.getModel());
  }

  @Test
  void twoHundredSwaps_underLoad_failNoRequest() throws Exception {
    int swaps = 200;
    for (int version = 1; version <= 4; version++) {
      publish("digits", version);
    }
    SamplerServiceBlockingStub stub = start(List.of(), 1, 1 << 20, false);
    AtomicBoolean done = new AtomicBoolean();
    List<ByteString> images = new ArrayList<>();
    for (int version = 1; version <= 4; version++) {
      images.add(stub.generate(raw("digits", version).build()).getPixels());
    }
    List<Future<Integer>> load = new ArrayList<>();
    for (int caller = 0; caller < 4; caller++) {
      // Callers of the one in service, and of older ones by number.
      int version = caller % 2 == 0 ? 0 : caller;
      load.add(
          callers.submit(
              () -> {
                int calls = 0;
                while (!done.get()) {
                  GenerateResponse answer = stub.generate(raw("digits", version).build());
                  int got = (int) answer.getModel().getVersion();
                  assertThat(answer.getPixels()).isEqualTo(images.get(got - 1));
                  calls++;
                }
                return calls;
              }));
    }
    for (int i = 0; i < swaps; i++) {
      int version = i % 2 == 0 ? 3 : 4;
      assertThat(setServing(stub, version).getServingVersion()).isEqualTo(version);
    }
    done.set(true);
    for (Future<Integer> caller : load) {
      assertThat(caller.get(60, TimeUnit.SECONDS)).isPositive();
    }
    assertThat(metrics()).contains("sampler_swaps_total{model=\"digits\"} " + (double) swaps);
  }

  private interface Change {
    ModelManifest.Builder apply(ModelManifest.Builder manifest);
  }

  /** A model whose manifest promises something else. */
  private void publish(Change change) throws IOException {
    GeneratorWeights weights = TestModels.weights(1, 1);
    ModelManifest.Builder manifest =
        TestModels.manifest("digits", weights, TestModels.golden(weights)).toBuilder();
    repository().publish(change.apply(manifest).build(), TestModels.onnx(weights));
  }

  private ModelBundle publish(String model, long seed) throws IOException {
    return TestModels.publish(repository(), model, 1, seed);
  }

  private static void edit(ModelBundle bundle, String from, String to) throws IOException {
    Path file = bundle.folder().resolve("manifest.json");
    String text = Files.readString(file);
    assertThat(text).contains(from);
    Files.write(file, text.replace(from, to).getBytes(StandardCharsets.UTF_8));
  }

  private SamplerServiceBlockingStub start() throws IOException {
    return start(List.of(), 1, 0, false);
  }

  private SamplerServiceBlockingStub start(
      List<String> names, int keepVersions, long onDemandBytes, boolean allowUnverified)
      throws IOException {
    return start(
        new ModelWatcherConfig(
            repository(), names, poll(), keepVersions, onDemandBytes, 1, true, allowUnverified));
  }

  /** Starts, and waits until it serves. */
  private SamplerServiceBlockingStub start(ModelWatcherConfig config) throws IOException {
    SamplerServer started =
        SamplerServer.start(
            new SamplerServer.Config(
                config,
                0,
                0,
                Duration.ZERO,
                null,
                new RuntimeSettings(Provider.CPU, 1, false, 0),
                "auto",
                1,
                new BatchingPolicy(8, Duration.ofMillis(1), 8192),
                Duration.ZERO),
            () -> {});
    sampler = started;
    ManagedChannel open =
        Grpc.newChannelBuilder("127.0.0.1:" + started.port(), InsecureChannelCredentials.create())
            .build();
    channel = open;
    awaitHealth(ServingStatus.SERVING);
    return SamplerServiceGrpc.newBlockingStub(open);
  }

  private void awaitHealth(ServingStatus status) {
    Iterator<HealthCheckResponse> changes =
        HealthGrpc.newBlockingStub(Objects.requireNonNull(channel))
            .withDeadlineAfter(Duration.ofSeconds(60))
            .watch(HealthCheckRequest.newBuilder().setService(SERVICE).build());
    ServingStatus found;
    do {
      found = changes.next().getStatus();
    } while (found != status);
  }

  private void stop() throws InterruptedException {
    if (channel != null) {
      channel.shutdownNow();
    }
    if (sampler != null) {
      sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
      sampler = null;
    }
  }

  private ModelRepository repository() {
    return new ModelRepository(root);
  }

  private static Duration poll() {
    return Duration.ofMillis(10);
  }

  private static ServedModel get(SamplerServiceBlockingStub stub, long version) {
    return stub.getModel(
        GetModelRequest.newBuilder().setModel("digits").setVersion(version).build());
  }

  private static ServedModel setServing(SamplerServiceBlockingStub stub, long version) {
    return stub.setServingVersion(
        SetServingVersionRequest.newBuilder().setModel("digits").setVersion(version).build());
  }

  private static AbstractStringAssert<?> assertRefused(
      SamplerServiceBlockingStub stub, GenerateRequest.Builder request, Status.Code code) {
    StatusRuntimeException refused =
        catchThrowableOfType(StatusRuntimeException.class, () -> stub.generate(request.build()));
    assertThat(refused).as("a refusal").isNotNull();
    assertThat(refused.getStatus().getCode()).isEqualTo(code);
    return assertThat(refused.getStatus().getDescription());
  }

  private static void awaitVersion(SamplerServiceBlockingStub stub, long version) {
    long start = System.nanoTime();
    while (stub.generate(raw("digits", 0).build()).getModel().getVersion() < version) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  private void awaitMetric(String line) throws IOException, InterruptedException {
    long start = System.nanoTime();
    while (!metrics().contains(line)) {
      assertThat(System.nanoTime() - start).as(line).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  private String metrics() throws IOException, InterruptedException {
    int port = Objects.requireNonNull(sampler).httpPort();
    URI uri = URI.create("http://127.0.0.1:" + port + "/metrics");
    return HttpClient.newHttpClient()
        .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
        .body();
  }

  private static GenerateRequest.Builder raw(String model, long version) {
    return GenerateRequest.newBuilder()
        .setSeed(3)
        .setCount(1)
        .setModel(model)
        .setVersion(version)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
  }
}
