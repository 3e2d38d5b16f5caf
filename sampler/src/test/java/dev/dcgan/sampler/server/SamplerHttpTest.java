package dev.dcgan.sampler.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.v1.DecodeRequest;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.GetLatentsRequest;
import dev.dcgan.v1.GetLatentsResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.ImagePoint;
import dev.dcgan.v1.InterpolateRequest;
import dev.dcgan.v1.ListModelsRequest;
import dev.dcgan.v1.ListModelsResponse;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.ServedModel;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.ByteArrayInputStream;
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
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The whole service over HTTP, with real models in ONNX Runtime. */
@Timeout(120)
class SamplerHttpTest {

  private static final String FOR_GOOD = "public, max-age=31536000, immutable";

  @TempDir private Path root;

  private final HttpClient client = HttpClient.newHttpClient();
  private @Nullable SamplerServer sampler;
  private int port;

  @AfterEach
  void end() throws InterruptedException {
    if (sampler != null) {
      sampler.drain(Duration.ZERO, Duration.ofSeconds(30));
    }
  }

  @Test
  void everyFormat_isWhatGenerateAnswers() throws Exception {
    publish("digits", 3, 1);
    start(false);
    awaitReady();
    ManagedChannel channel =
        Grpc.newChannelBuilder(
                "127.0.0.1:" + Objects.requireNonNull(sampler).port(),
                InsecureChannelCredentials.create())
            .build();
    try {
      var stub = SamplerServiceGrpc.newBlockingStub(channel);
      GenerateRequest.Builder request =
          GenerateRequest.newBuilder().setSeed(42).setFirstIndex(3).setCount(7);
      GenerateResponse raw = stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_RAW).build());
      GenerateResponse floats =
          stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_FLOAT).build());
      GenerateResponse sheet =
          stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_SHEET).setColumns(4).build());
      GenerateResponse png = stub.generate(request.setFormat(ImageFormat.IMAGE_FORMAT_PNG).build());
      GenerateResponse cool =
          stub.generate(
              request.setFormat(ImageFormat.IMAGE_FORMAT_RAW).setTemperature(0.5f).build());

      String images = "/v1/images?seed=42&first=3&count=7&format=";
      HttpResponse<byte[]> answer = get(images + "raw");
      assertThat(bytes(answer)).isEqualTo(raw.getPixels());
      assertThat(answer.headers().firstValue("Content-Type")).contains("application/octet-stream");
      assertThat(bytes(get(images + "float"))).isEqualTo(floats.getFloats());
      HttpResponse<byte[]> picture = get(images + "sheet&columns=4");
      assertThat(bytes(picture)).isEqualTo(sheet.getSheet());
      assertThat(picture.headers().firstValue("Content-Type")).contains("image/png");
      assertThat(bytes(get("/v1/images?seed=42&first=3&format=png"))).isEqualTo(png.getPng(0));
      assertThat(bytes(get(images + "raw&temperature=0.5&priority=low")))
          .isEqualTo(cool.getPixels())
          .isNotEqualTo(raw.getPixels());
      var whole = ImageIO.read(new ByteArrayInputStream(get("/v1/images?seed=42").body()));
      assertThat(whole.getWidth()).isEqualTo(2 + 5 * 16);
      assertThat(whole.getHeight()).isEqualTo(2 + 5 * 16);
      GenerateResponse grid =
          stub.generate(
              GenerateRequest.newBuilder()
                  .addAllSeeds(List.of(4L, 4L, 5L))
                  .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
                  .build());
      HttpResponse<byte[]> seeds = get("/v1/images?seeds=4,4,5&format=raw");
      assertThat(bytes(seeds)).isEqualTo(grid.getPixels());
      assertThat(headers(seeds, "X-Image-Count", "Content-Location"))
          .containsExactly(
              "3", "/v1/images?model=digits&version=1&seeds=4,4,5&first=0&count=1&format=raw");
      HttpResponse<byte[]> large = get("/v1/images?seed=4&seed=5&format=sheet&scale=3");
      assertThat(ImageIO.read(new ByteArrayInputStream(large.body())).getWidth())
          .isEqualTo(3 * (2 + 2 * 16));
      assertThat(headers(large, "Content-Location"))
          .containsExactly(
              "/v1/images?model=digits&version=1&seeds=4,5&first=0&count=1&format=sheet&columns=5"
                  + "&scale=3");
    } finally {
      channel.shutdownNow();
    }
    awaitMetric("sampler_images_total{format=\"sheet\",model=\"digits\"} 41.0"); // 7, 7, 25 and 2
    awaitMetric("http_server_requests_total{code=\"200\",path=\"/v1/images\"} 8.0");
  }

  @Test
  void interpolation_isThatOfGrpc() throws Exception {
    ConditionalModels.publish(new ModelRepository(root), "pets", 1);
    start(false);
    awaitReady();
    ManagedChannel channel = connect();
    try {
      var stub = SamplerServiceGrpc.newBlockingStub(channel);
      InterpolateRequest.Builder request =
          InterpolateRequest.newBuilder()
              .setFrom(ImagePoint.newBuilder().setSeed(42).setIndex(3))
              .setTo(ImagePoint.newBuilder().setSeed(-1).setIndex(7))
              .setCount(9)
              .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
      String images = "/v1/interpolate?from=42:3&to=18446744073709551615:7&format=raw";
      HttpResponse<byte[]> plain = get(images);
      assertThat(bytes(plain)).isEqualTo(stub.interpolate(request.build()).getPixels());
      assertThat(headers(plain, "Cache-Control", "X-Image-Count", "Content-Location"))
          .containsExactly(
              "no-cache",
              "9",
              "/v1/interpolate?model=pets&version=1&from=42:3&to=18446744073709551615:7&count=9"
                  + "&format=raw");
      HttpResponse<byte[]> same = get("/v1/interpolate?from=42:3&to=42:3&format=raw&label=dog");
      assertThat(bytes(same).substring(0, 588))
          .isEqualTo(bytes(get("/v1/images?seed=42&first=3&count=1&format=raw&label=dog")));
      HttpResponse<byte[]> cool =
          get(images + "&count=4&temperature=0.5&label=cat&label=dog&model=pets&version=1");
      assertThat(bytes(cool))
          .isEqualTo(
              stub.interpolate(
                      request
                          .setCount(4)
                          .setTemperature(0.5f)
                          .setFromLabel("cat")
                          .setToLabel("dog")
                          .build())
                  .getPixels());
      assertThat(bytes(cool).substring(0, 588))
          .as("the end is image 3 at that temperature")
          .isEqualTo(
              bytes(get("/v1/images?seed=42&first=3&count=1&format=raw&temperature=.5&label=cat")));
      assertThat(headers(cool, "Cache-Control")).containsExactly(FOR_GOOD);
      String url = headers(cool, "Content-Location").get(0);
      assertThat(tag(get(url))).isEqualTo(tag(cool)).isNotEqualTo(tag(plain));
      assertThat(ask(request(url).header("If-None-Match", tag(cool))).statusCode()).isEqualTo(304);

      assertThat(text("/v1/interpolate?from=42:3"))
          .startsWith("400 to '': expected an image, SEED:INDEX");
      assertThat(text("/v1/interpolate?from=42&to=42:1")).startsWith("400 from '42': ");
      assertThat(text("/v1/interpolate?from=42:x&to=42:1")).startsWith("400 from 'x': ");
      assertThat(text(images + "&count=1")).startsWith("400 count 1: ");
      assertThat(text(images + "&temperature=3")).startsWith("400 temperature 3.0: ");
      assertThat(text(images + "&label=bird")).startsWith("400 ").contains("'bird'");
      assertThat(text(images + "&seed=3")).startsWith("400 parameter 'seed' is not known; ");
      assertThat(text("/v1/interpolate?from=42:3&to=42:4&format=png")).startsWith("400 format");
      assertThat(text(images + "&model=cats")).startsWith("404 ");
    } finally {
      channel.shutdownNow();
    }
  }

  @Test
  void arithmetic_isDecodeOfASumOfLatents() throws Exception {
    ConditionalModels.publish(new ModelRepository(root), "pets", 1);
    start(false);
    awaitReady();
    ManagedChannel channel = connect();
    try {
      var stub = SamplerServiceGrpc.newBlockingStub(channel);
      GetLatentsResponse latents =
          stub.getLatents(GetLatentsRequest.newBuilder().setSeed(42).setCount(3).build());
      DecodeRequest.Builder request = DecodeRequest.newBuilder();
      int size = latents.getLatentSize();
      for (int i = 0; i < size; i++) {
        float difference = latents.getLatents(i) - latents.getLatents(size + i);
        request.addLatents(difference + latents.getLatents(2 * size + i));
      }
      String c = ConditionalModels.PETS.name(latents.getLabels(2));
      HttpResponse<byte[]> sum = get("/v1/arithmetic?a=42:0&b=42:1&c=42:2");
      assertThat(bytes(sum)).isEqualTo(stub.decode(request.clone().addLabels(c).build()).getPng(0));
      assertThat(headers(sum, "Content-Type", "Content-Location"))
          .containsExactly(
              "image/png", "/v1/arithmetic?model=pets&version=1&a=42:0&b=42:1&c=42:2&format=png");
      assertThat(bytes(get("/v1/arithmetic?a=42:0&b=42:1&c=42:2&label=cat&scale=2")))
          .isEqualTo(stub.decode(request.clone().addLabels("cat").setScale(2).build()).getPng(0));
      assertThat(bytes(get("/v1/arithmetic?a=42:0&b=42:0&c=42:2&format=raw&temperature=0.5")))
          .as("a - a + c")
          .isEqualTo(bytes(get("/v1/images?seed=42&first=2&count=1&format=raw&temperature=0.5")));

      assertThat(text("/v1/arithmetic?a=42:0&b=42:1")).startsWith("400 c '': ");
      assertThat(text("/v1/arithmetic?a=1:1&b=1:1&c=1:1&count=2")).startsWith("400 count");
      assertThat(text("/v1/arithmetic?a=1:1&a=1:2&b=1:1&c=1:1")).startsWith("400 parameter 'a'");
      assertThat(text("/v1/arithmetic?a=1:1&b=1:1&c=1:1&from=1")).contains("there are a, b, c");
      assertThat(text("/v1/arithmetic?a=1:1&b=1:1&c=1:18446744073709551615"))
          .startsWith("400 first");
    } finally {
      channel.shutdownNow();
    }
  }

  @Test
  void models_areWhatGrpcLists_asJson() throws Exception {
    publish("digits", 1, 1);
    publish("digits", 1, 2);
    start(false);
    awaitReady();
    ManagedChannel channel = connect();
    try {
      var stub = SamplerServiceGrpc.newBlockingStub(channel);
      HttpResponse<byte[]> answer = get("/v1/models");
      ListModelsResponse.Builder listed = ListModelsResponse.newBuilder();
      JsonFormat.parser().merge(bytes(answer).toStringUtf8(), listed);
      ListModelsResponse.Builder expected =
          stub.listModels(ListModelsRequest.getDefaultInstance()).toBuilder();
      expected.getModelsBuilder(0).getManifestBuilder().clearGolden();
      assertThat(listed.build()).isEqualTo(expected.build());
      assertThat(headers(answer, "Content-Type", "Cache-Control", "X-Grpc-Port", "X-Grpc-Tls"))
          .containsExactly(
              "application/json", "no-store", Objects.requireNonNull(sampler).port() + "", "false");

      ServedModel.Builder first = ServedModel.newBuilder();
      JsonFormat.parser()
          .merge(bytes(get("/v1/model?model=digits&version=1")).toStringUtf8(), first);
      assertThat(first.getManifest().getModel().getVersion()).isEqualTo(1);
      assertThat(first.getServingVersion()).isEqualTo(2);
      assertThat(text("/v1/model?version=9")).startsWith("404 version 9 of digits");
      assertThat(text("/v1/model?sede=9")).startsWith("400 parameter 'sede'");
      assertThat(text("/v1/model?version=x")).startsWith("400 version 'x'");
    } finally {
      channel.shutdownNow();
    }
  }

  @Test
  void headers_sayWhatItIs_andHowLongItHolds() throws Exception {
    ModelBundle first = publish("digits", 1, 1);
    start(false);
    awaitReady();
    HttpResponse<byte[]> answer = get("/v1/images?seed=42");
    assertThat(headers(answer, "X-Model", "X-Image-Shape", "X-Image-First", "X-Image-Count"))
        .containsExactly("digits/1", "14x14x1", "0", "25");
    assertThat(headers(answer, "X-Provider", "X-Content-Type-Options", "Cache-Control"))
        .containsExactly("cpu", "nosniff", "no-cache");
    String url = answer.headers().firstValue("Content-Location").orElseThrow();
    assertThat(url)
        .isEqualTo(
            "/v1/images?model=digits&version=1&seed=42&first=0&count=25&format=sheet&columns=5");
    HttpResponse<byte[]> pinned = get(url);
    assertThat(pinned.body()).isEqualTo(answer.body());
    assertThat(headers(pinned, "Cache-Control", "ETag")).containsExactly(FOR_GOOD, tag(answer));
    for (String notAll : List.of("version=1", "model=digits", "model=digits&version=0")) {
      assertThat(headers(get("/v1/images?" + notAll), "Cache-Control"))
          .as(notAll)
          .containsExactly("no-cache");
    }

    List<String> tags = new ArrayList<>(List.of(tag(answer)));
    for (String other :
        List.of(
            "seed=43",
            "seed=42&first=1",
            "seed=42&count=24",
            "seed=42&columns=4",
            "seed=42&temperature=0.5",
            "seed=42&scale=2",
            "seeds=42,43&count=25",
            "seeds=43,42&count=25",
            "seed=42&count=25&format=raw",
            "seed=42&count=25&format=float")) {
      tags.add(tag(get("/v1/images?" + other)));
    }
    assertThat(tags).doesNotHaveDuplicates();
    assertThat(tag(get("/v1/images?seed=42&count=25&columns=0&temperature=1&priority=high")))
        .as("the same bytes")
        .isEqualTo(tag(answer));
    assertThat(ask(request("/v1/images?seed=42").header("If-None-Match", tag(answer))).statusCode())
        .isEqualTo(304);

    publish("digits", 1, 2);
    awaitMetric("sampler_swaps_total{model=\"digits\"} 1.0");
    HttpResponse<byte[]> next =
        ask(request("/v1/images?seed=42").header("If-None-Match", tag(answer)));
    assertThat(next.statusCode()).as("another version").isEqualTo(200);
    assertThat(headers(next, "X-Model")).containsExactly("digits/2");
    assertThat(next.body()).isNotEqualTo(answer.body());
    assertThat(get(url).body()).as(first + " on demand").isEqualTo(answer.body());
  }

  @Test
  void versionWithoutAManifest_isNeverForGood() throws Exception {
    Path folder = Files.createDirectories(root.resolve("by-hand/1"));
    Files.write(folder.resolve("model.onnx"), TestModels.onnx(TestModels.weights(1, 1)));
    start(true);
    awaitReady();
    HttpResponse<byte[]> answer = get("/v1/images?model=by-hand&version=1");
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(headers(answer, "Cache-Control")).containsExactly("no-cache");
    assertThat(tag(answer)).matches("\"[0-9a-f]{32}\"");
  }

  @Test
  void ready_isWhenThereIsAModel_andNotWhileDraining() throws Exception {
    start(false);
    assertThat(text("/healthz")).isEqualTo("200 alive\n");
    assertThat(text("/readyz")).isEqualTo("503 no model is served yet\n");
    assertThat(text("/v1/images")).isEqualTo("503 no model is served here now; try again later\n");

    publish("digits", 1, 1);
    awaitReady();
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
    while (!text("/readyz").equals("503 draining\n")) {
      assertThat(drain.isAlive()).isTrue();
    }
    assertThat(text("/healthz")).isEqualTo("200 alive\n");
    assertThat(get("/v1/images?seed=1").statusCode()).as("accepted meanwhile").isEqualTo(200);
    drain.interrupt();
    drain.join();
  }

  @Test
  void callersAtOnce_eachGetTheirImages() throws Exception {
    publish("digits", 1, 1);
    start(false);
    awaitReady();
    List<byte[]> alone = new ArrayList<>();
    for (int seed = 0; seed < 24; seed++) {
      alone.add(get("/v1/images?format=raw&count=40&seed=" + seed).body());
    }
    List<CompletableFuture<HttpResponse<byte[]>>> together = new ArrayList<>();
    for (int seed = 0; seed < 24; seed++) {
      together.add(
          client.sendAsync(
              request("/v1/images?format=raw&count=40&seed=" + seed).build(),
              HttpResponse.BodyHandlers.ofByteArray()));
    }
    for (int seed = 0; seed < 24; seed++) {
      assertThat(together.get(seed).get(60, TimeUnit.SECONDS).body()).isEqualTo(alone.get(seed));
    }
  }

  @Test
  void galleryOf200Images_waitsAndIsComplete() throws Exception {
    publish("digits", 1, 1);
    start(false);
    awaitReady();
    List<CompletableFuture<HttpResponse<byte[]>>> gallery = new ArrayList<>();
    for (int seed = 0; seed < 200; seed++) {
      gallery.add(
          client.sendAsync(
              request("/v1/images?format=png&seed=" + seed).build(),
              HttpResponse.BodyHandlers.ofByteArray()));
    }
    for (CompletableFuture<HttpResponse<byte[]>> image : gallery) {
      assertThat(image.get(60, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
    }
  }

  @Test
  void labels_areAsInGenerate_andPartOfTheUrl() throws Exception {
    ConditionalModels.publish(new ModelRepository(root), "pets", 1);
    start(false);
    awaitReady();
    ManagedChannel channel =
        Grpc.newChannelBuilder(
                "127.0.0.1:" + Objects.requireNonNull(sampler).port(),
                InsecureChannelCredentials.create())
            .build();
    try {
      var stub = SamplerServiceGrpc.newBlockingStub(channel);
      GenerateRequest.Builder request =
          GenerateRequest.newBuilder()
              .setSeed(42)
              .setCount(9)
              .setFormat(ImageFormat.IMAGE_FORMAT_RAW);
      String images = "/v1/images?seed=42&count=9&format=raw";
      String canonical = "/v1/images?model=pets&version=1&seed=42&first=0&count=9&format=raw";
      HttpResponse<byte[]> drawn = get(images);
      assertThat(bytes(drawn)).isEqualTo(stub.generate(request.build()).getPixels());
      assertThat(headers(drawn, "Content-Location")).containsExactly(canonical);

      HttpResponse<byte[]> dog = get(images + "&label=dog");
      assertThat(bytes(dog))
          .isEqualTo(stub.generate(request.clone().addLabels("dog").build()).getPixels())
          .isNotEqualTo(bytes(drawn));
      assertThat(headers(dog, "Content-Location")).containsExactly(canonical + "&label=dog");
      assertThat(tag(dog)).isNotEqualTo(tag(drawn));
      HttpResponse<byte[]> cat = get(images + "&label=0");
      assertThat(tag(cat)).isEqualTo(tag(get(images + "&label=cat")));
      assertThat(get(canonical + "&label=dog").body()).isEqualTo(dog.body());
      // The name of a class goes before the position of another one.
      assertThat(headers(get(images + "&label=2"), "Content-Location"))
          .containsExactly(canonical + "&label=2");
      assertThat(bytes(get(images + "&label=2")))
          .isEqualTo(bytes(get(images + "&label=1")))
          .isNotEqualTo(bytes(dog));

      HttpResponse<byte[]> mixed = get(images + "&label=0&label=dog");
      assertThat(bytes(mixed))
          .isEqualTo(
              stub.generate(request.clone().addLabels("cat").addLabels("dog").build()).getPixels());
      assertThat(headers(mixed, "Content-Location"))
          .containsExactly(canonical + "&label=cat&label=dog");
      assertThat(text(images + "&label=bird"))
          .isEqualTo(
              "400 label 'bird': the model has no such class; expected one of cat (0), 2 (1), dog"
                  + " (2)\n");
      assertThat(text(images + "&label=")).startsWith("400 label '': ");
      assertThat(text("/v1/images?count=0&label=bird")).startsWith("400 count 0");
    } finally {
      channel.shutdownNow();
    }
  }

  @Test
  void labels_areThoseOfTheVersionInService() throws Exception {
    ModelRepository repository = new ModelRepository(root);
    ConditionalModels.publish(repository, "pets", 1);
    start(false);
    awaitReady();
    assertThat(get("/v1/images?label=dog").statusCode()).isEqualTo(200);
    ConditionalModels.publish(
        repository, "pets", new ImageClasses(List.of("bird", "dog"), List.of(1L, 1L)), 2);
    long start = System.nanoTime();
    while (!headers(get("/v1/images?label=dog"), "X-Model").contains("pets/2")) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
    assertThat(text("/v1/images?label=cat")).endsWith("expected one of bird (0), dog (1)\n");
    assertThat(get("/v1/images?label=bird").statusCode()).isEqualTo(200);
    publish("pets", 3, 1);
    start = System.nanoTime();
    while (get("/v1/images?label=dog").statusCode() == 200) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
    assertThat(text("/v1/images?label=dog"))
        .isEqualTo("400 label 'dog': the model has no classes; leave the label out\n");
  }

  private ManagedChannel connect() {
    return Grpc.newChannelBuilder(
            "127.0.0.1:" + Objects.requireNonNull(sampler).port(),
            InsecureChannelCredentials.create())
        .build();
  }

  private void start(boolean allowUnverified) throws IOException {
    SamplerServer started =
        SamplerServer.start(
            new SamplerServer.Config(
                new ModelWatcherConfig(
                    new ModelRepository(root),
                    List.of(),
                    Duration.ofMillis(10),
                    1,
                    1 << 20,
                    1,
                    false,
                    allowUnverified),
                0,
                0,
                Duration.ZERO,
                null,
                new RuntimeSettings(Provider.CPU, 1, false, 0),
                "auto",
                2,
                new BatchingPolicy(32, Duration.ofMillis(2), 8192),
                Duration.ZERO),
            () -> {});
    sampler = started;
    port = started.httpPort();
  }

  private ModelBundle publish(String name, int channels, long seed) throws IOException {
    return TestModels.publish(new ModelRepository(root), name, channels, seed);
  }

  private void awaitReady() throws Exception {
    long start = System.nanoTime();
    while (!text("/readyz").equals("200 ready\n")) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  private void awaitMetric(String line) throws Exception {
    long start = System.nanoTime();
    while (!text("/metrics").contains(line)) {
      assertThat(System.nanoTime() - start).as(line).isLessThan(TimeUnit.SECONDS.toNanos(60));
    }
  }

  private String text(String path) throws Exception {
    HttpResponse<byte[]> answer = get(path);
    return answer.statusCode() + " " + new String(answer.body(), StandardCharsets.UTF_8);
  }

  private HttpResponse<byte[]> get(String path) throws Exception {
    return ask(request(path));
  }

  private HttpResponse<byte[]> ask(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path));
  }

  private static String tag(HttpResponse<?> answer) {
    return answer.headers().firstValue("ETag").orElseThrow();
  }

  private static List<String> headers(HttpResponse<?> answer, String... names) {
    return List.of(names).stream()
        .map(name -> answer.headers().firstValue(name).orElse("(none)"))
        .toList();
  }

  private static ByteString bytes(HttpResponse<byte[]> answer) {
    assertThat(answer.statusCode()).isEqualTo(200);
    return ByteString.copyFrom(answer.body());
  }
}
