package dev.dcgan.e2e;

import static dev.dcgan.e2e.Program.assumeRuns;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.dcgan.latent.Latents;
import dev.dcgan.trainer.checkpoint.Checkpoint;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.train.TrainedGenerator;
import dev.dcgan.v1.GenerateRequest;
import dev.dcgan.v1.GenerateResponse;
import dev.dcgan.v1.ImageFormat;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SamplerServiceGrpc.SamplerServiceBlockingStub;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/**
 * Tests the packaged programs from end to end: train on drawn digits, publish, serve over a real
 * socket, and compare the images that clients get with the trained network.
 */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class EndToEndIT {

  private static final Path TRAINER = Path.of("../trainer/target/trainer/bin/trainer");
  private static final Path SAMPLER = Path.of("../sampler/target/sampler/bin/sampler");
  private static final Path PYTHON_CLIENT = Path.of("src/test/python/client.py");

  @TempDir private static Path folder;
  private static final HttpClient http = HttpClient.newHttpClient();

  private static String trainerOutput = "";
  private static String trainerMetrics = "";
  private static Program sampler;
  private static int httpPort;
  private static String target = "";
  private static ManagedChannel channel;
  private static SamplerServiceBlockingStub stub;

  @BeforeAll
  static void trainAndServe() throws Exception {
    try (Program trainer =
        Program.start(
            folder,
            List.of(
                TRAINER.toAbsolutePath().toString(),
                "train",
                "--images=1500",
                "--epochs=2",
                "--width=16",
                "--batch-size=32",
                "--learning-rate=0.002",
                "--http-port=0"))) {
      int port = port(trainer.awaitLine("metrics on port (\\d+)"));
      trainer.awaitLine("epoch 1/2: ");
      trainerMetrics = get("http://localhost:" + port + "/metrics");
      assertThat(trainer.awaitExit()).as(trainer.output()).isZero();
      trainerOutput = trainer.output();
    }
    sampler =
        Program.start(
            folder,
            List.of(
                SAMPLER.toAbsolutePath().toString(),
                "serve",
                "--repository=models",
                "--port=0",
                "--http-port=0",
                "--drain-delay=0"));
    Matcher ports = sampler.awaitLine("gRPC on port (\\d+), metrics on http://localhost:(\\d+)/");
    target = "localhost:" + ports.group(1);
    httpPort = Integer.parseInt(ports.group(2));
    sampler.awaitLine("serving mnist28/1 on cpu");
    channel = Grpc.newChannelBuilder(target, InsecureChannelCredentials.create()).build();
    stub = SamplerServiceGrpc.newBlockingStub(channel);
  }

  @AfterAll
  static void close() {
    if (channel != null) {
      channel.shutdownNow();
    }
    if (sampler != null) {
      sampler.close();
    }
  }

  @Test
  void train_logsOnlyItsOwnLines_andWritesSamples() throws IOException {
    assertThat(trainerOutput.lines())
        .as("only the log lines of the program")
        // So short a training is warned of.
        .allMatch(line -> line.matches("\\S+ (INFO|WARN) +[A-Z]\\w+: .*"));
    Path run = onlyEntry(folder.resolve("runs"));
    assertThat(run.resolve("real-vs-generated.png")).isNotEmptyFile();
    assertThat(run.resolve("samples/epoch-001.png")).isNotEmptyFile();
    assertThat(run.resolve("samples/epoch-002.png")).isNotEmptyFile();
  }

  @Test
  void serve_logsOnlyItsOwnLines() {
    assertThat(sampler.output().lines())
        .allMatch(
            line ->
                line.matches(
                    "\\S+ INFO +(ServeCommand|RuntimeOptions|ModelWatcher|VerifiedNetworks): .*"));
  }

  @Test
  void generate_equalsTrainedNetwork_withinOneGreyLevel() throws Exception {
    assertServesNetworkOf(onlyEntry(folder.resolve("runs")));
  }

  @Test
  @Order(Integer.MAX_VALUE - 1)
  void train_onRealMnist_publishesVersionThatIsServed() throws Exception {
    Path mnist =
        Path.of(
                Optional.ofNullable(System.getenv("DCGAN_TEST_DATA")).orElse("../../shared/data"),
                "mnist")
            .toAbsolutePath();
    assumeTrue(Files.isDirectory(mnist), mnist + " is absent: not tested on the real MNIST");

    Program.run(
        folder,
        List.of(
            TRAINER.toAbsolutePath().toString(),
            "train",
            "--data=" + mnist,
            "--preset=mnist28",
            "--epochs=1",
            "--width=4",
            "--batch-size=512",
            "--learning-rate=0.002",
            "--runs=mnist-runs",
            "--http-port=0"));

    sampler.awaitLine("serving mnist28/2 on cpu");
    assertServesNetworkOf(onlyEntry(folder.resolve("mnist-runs")));
  }

  /** Compares RAW images of the sampler with the network of the run. */
  private static void assertServesNetworkOf(Path run) throws IOException {
    int n = 64;
    GenerateResponse response = stub.generate(raw(42, 100, n));
    Checkpoint checkpoint = CheckpointFile.read(newestCheckpoint(run));
    int latentSize = checkpoint.architecture().latentSize();
    float[] latents = new float[n * latentSize];
    for (int i = 0; i < n; i++) {
      Latents.fill(42, 100 + i, latents, i * latentSize, latentSize);
    }

    float[] images;
    try (TrainedGenerator generator = new TrainedGenerator(checkpoint)) {
      images = generator.images(latents, new long[0], n);
    }

    byte[] pixels = response.getPixels().toByteArray();
    assertThat(pixels).hasSize(images.length);
    for (int i = 0; i < pixels.length; i++) {
      double expected = Math.rint((images[i] + 1) * 127.5);
      assertThat((double) (pixels[i] & 0xFF))
          .as("value %d of image %d", i % 784, i / 784)
          .isBetween(expected - 1, expected + 1);
    }
    assertThat(Arrays.copyOf(pixels, 784))
        .as("another image")
        .isNotEqualTo(Arrays.copyOfRange(pixels, 784, 2 * 784));
  }

  @Test
  void image_doesNotDependOnRequest() throws Exception {
    int n = 100;
    byte[] whole = stub.generate(raw(7, 0, n)).getPixels().toByteArray();

    ByteArrayOutputStream streamed = new ByteArrayOutputStream();
    Iterator<GenerateResponse> chunks = stub.generateStream(raw(7, 0, n));
    while (chunks.hasNext()) {
      chunks.next().getPixels().writeTo(streamed);
    }
    assertThat(streamed.toByteArray()).isEqualTo(whole);
    assertThat(stub.generate(raw(7, 60, 40)).getPixels().toByteArray())
        .isEqualTo(Arrays.copyOfRange(whole, 60 * 784, whole.length));

    ExecutorService callers = Executors.newFixedThreadPool(8);
    try {
      List<Callable<byte[]>> calls = new ArrayList<>();
      for (int i = 0; i < n; i++) {
        long index = i;
        calls.add(() -> stub.generate(raw(7, index, 1)).getPixels().toByteArray());
        calls.add(() -> stub.generate(raw(1000 + index, 0, 3)).getPixels().toByteArray());
      }
      List<Future<byte[]>> responses = callers.invokeAll(calls);
      for (int i = 0; i < n; i++) {
        assertThat(responses.get(2 * i).get())
            .as("image %d, requested alone among other calls", i)
            .isEqualTo(Arrays.copyOfRange(whole, i * 784, (i + 1) * 784));
      }
    } finally {
      callers.shutdown();
    }
  }

  @Test
  void generate_fromPython_returnsSameBytes() throws Exception {
    Path stubs = PythonStubs.generate(folder);

    String output =
        Program.run(
            folder,
            List.of(
                PythonStubs.PYTHON,
                PYTHON_CLIENT.toAbsolutePath().toString(),
                target,
                stubs.toString()));

    String digest =
        HexFormat.of()
            .formatHex(
                MessageDigest.getInstance("SHA-256")
                    .digest(stub.generate(raw(-1, 3, 7)).getPixels().toByteArray()));
    assertThat(output.lines()).containsExactly("7 28 28 1", digest, digest, "INVALID_ARGUMENT");
  }

  @Test
  void infer_fromPython_returnsSameBytes() throws Exception {
    Path stubs = PythonStubs.generate(folder);

    String output =
        Program.run(
            folder,
            List.of(
                PythonStubs.PYTHON,
                Path.of("src/test/python/infer.py").toAbsolutePath().toString(),
                target,
                stubs.toString()));

    long version = stub.generate(raw(1, 0, 1)).getModel().getVersion();
    assertThat(output.lines())
        .containsExactly(
            "live True, ready True, model True, other False",
            "onnxruntime_onnx z FP32 [-1, 64] image FP32 [-1, 1, 28, 28] pixels UINT8 [-1, 28, 28, 1]",
            "mnist28/" + version + " call-1 pixels UINT8 [7, 28, 28, 1] image FP32 [7, 1, 28, 28]",
            "pixels equal those of Generate: True",
            "floats equal those of Generate: True",
            "INVALID_ARGUMENT");
  }

  @Test
  void model_passesOnnxChecker() throws Exception {
    assumeRuns("python3-onnx", PythonStubs.PYTHON, "-c", "import onnx");

    Program.run(
        folder,
        List.of(
            PythonStubs.PYTHON,
            "-c",
            "import onnx, sys; onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)",
            "models/mnist28/1/model.onnx"));
  }

  @Test
  void metrics_passPromtool() throws Exception {
    assumeRuns("prometheus (promtool)", "promtool", "--version");
    stub.generate(raw(1, 0, 1));

    assertThat(trainerMetrics).contains("trainer_images_total", "jvm_memory_used_bytes");
    checkMetrics(trainerMetrics);
    String samplerMetrics = get("http://localhost:" + httpPort + "/metrics");
    assertThat(samplerMetrics)
        .contains(
            "sampler_images_total{",
            "sampler_batch_size_bucket{",
            "sampler_queue_wait_seconds_bucket{",
            "sampler_execution_seconds_bucket{",
            "sampler_model_info{",
            "grpc_server_started_total{",
            "grpc_server_handled_total{",
            "grpc_server_handling_seconds_bucket{");
    checkMetrics(samplerMetrics);
  }

  @Test
  void prometheus_scrapesSampler() throws Exception {
    assumeRuns("prometheus", "prometheus", "--version");
    stub.generate(raw(1, 0, 5));
    Files.writeString(
        folder.resolve("prometheus.yml"),
        """
        scrape_configs:
          - job_name: dcgan-sampler
            scrape_interval: 200ms
            static_configs:
              - targets: ["localhost:%d"]
        """
            .formatted(httpPort));
    Prometheus prometheus = Prometheus.start(folder);
    try {
      assertThat(awaitSeries(prometheus, "sum(sampler_images_total) >= 5")).isNotEmpty();
      assertThat(
              awaitSeries(prometheus, "sampler_model_info{model=\"mnist28\",version=\"1\"} == 1"))
          .extracting(series -> series.labels().get("provider"))
          .containsExactly("cpu");
    } finally {
      prometheus.stop();
    }
  }

  @Test
  @Order(Integer.MAX_VALUE)
  void serve_onSigterm_exitsWithZero() throws Exception {
    sampler.terminate();

    assertThat(sampler.awaitExit()).as(sampler.output()).isZero();
  }

  private static GenerateRequest raw(long seed, long first, int count) {
    return GenerateRequest.newBuilder()
        .setSeed(seed)
        .setFirstIndex(first)
        .setCount(count)
        .setFormat(ImageFormat.IMAGE_FORMAT_RAW)
        .build();
  }

  private static int port(Matcher line) {
    return Integer.parseInt(line.group(1));
  }

  private static Path newestCheckpoint(Path run) throws IOException {
    try (Stream<Path> files = Files.list(run.resolve("checkpoints"))) {
      return files.max(Path::compareTo).orElseThrow();
    }
  }

  private static Path onlyEntry(Path parent) throws IOException {
    try (Stream<Path> entries = Files.list(parent)) {
      List<Path> found =
          entries.filter(entry -> !entry.getFileName().toString().startsWith(".")).toList();
      assertThat(found).hasSize(1);
      return found.get(0);
    }
  }

  private static void checkMetrics(String metrics) throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("metrics.txt"), metrics);
    Program.run(folder, List.of("sh", "-c", "promtool check metrics < \"$0\"", file.toString()));
  }

  private static String get(String url) throws IOException, InterruptedException {
    HttpResponse<String> response =
        http.send(
            HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
    assertThat(response.statusCode()).isEqualTo(200);
    return response.body();
  }

  /** Repeats the query until it has a result, which needs a scrape. */
  private static List<Prometheus.Series> awaitSeries(Prometheus prometheus, String expression)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (true) {
      double now = System.currentTimeMillis() / 1e3;
      List<Prometheus.Series> found =
          prometheus.range(expression, new Prometheus.Span(now - 60, now, 1));
      if (!found.isEmpty() || System.nanoTime() > deadline) {
        return found;
      }
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }
}
