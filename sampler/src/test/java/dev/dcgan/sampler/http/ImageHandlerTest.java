package dev.dcgan.sampler.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.core.ImageService;
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
import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.HttpEndpoint;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Images over HTTP, with a network that the test holds back. */
@Timeout(60)
class ImageHandlerTest {

  private static final int MAX_BATCH = 4;

  /** Of which one caller may have 15. */
  private static final int MAX_QUEUE = 20;

  @TempDir private Path root;

  private final GatedNetwork network = new GatedNetwork(TestModels.LATENT, 14 * 14);
  private final QueueWatch watch = new QueueWatch();
  private final ModelRegistry models = EmptyVersionSource.models();
  private final HttpClient client = HttpClient.newHttpClient();
  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final ResponseBudget budget = new ResponseBudget(16 << 20);
  private HttpEndpoint endpoint;

  @BeforeEach
  void serve() throws IOException {
    models.serve(load(network));
    endpoint =
        HttpEndpoint.start(
            0,
            registry,
            Map.of(
                ImageHandler.PATH,
                page(models, Duration.ofSeconds(30)),
                "/impatient",
                page(models, Duration.ofMillis(300))));
  }

  @AfterEach
  void end() throws Exception {
    network.permit(1000);
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    assertThat(network.awaitClosed()).as("all uses of the version were released").isTrue();
    endpoint.close();
    assertThat(budget.reserved()).as("all memory for responses was given back").isZero();
  }

  @Test
  void badArguments_areToldInTheWordsOfGrpc_withTheParametersName() throws Exception {
    assertRefused("count=0", 400, "count 0: expected 1 or more");
    assertRefused(
        "first=9223372036854775807&count=2&format=raw",
        400,
        "first 9223372036854775807 and count 2: expected a sum of at most 2^63");
    assertRefused(
        "format=png&first=18446744073709551615",
        400,
        "first 18446744073709551615 and count 1: expected a sum of at most 2^63");
    assertRefused("temperature=2.5", 400, "temperature 2.5: expected above 0, at most 2");
    assertRefused("columns=70000", 400, "columns 70000: expected 0 to 65536");
    assertRefused("sede=1", 400, "parameter 'sede' is not known; there are seed, seeds, count,");
    assertRefused(
        "count=16&format=raw",
        400,
        "count 16 exceeds 15 images of 14x14x1 as RAW in one response of at most 4194304 bytes;"
            + " request fewer, and those after them with first");
    assertRefused("version=2", 404, "version 2 of digits is not in the repository; it has 1");
    assertRefused("model=cats", 404, "model 'cats' is not served; 'digits' is");
  }

  @Test
  void refusals_areTheSameForHead_andMarkup_staysText() throws Exception {
    HttpResponse<String> head =
        send(request("/v1/images?count=0").method("HEAD", BodyPublishers.noBody()));
    assertThat(head.statusCode()).isEqualTo(400);
    assertThat(head.body()).isEmpty();
    HttpResponse<String> script = get("/v1/images?model=%3Cscript%3E%0Ax");
    assertThat(script.body()).isEqualTo("model '<script>?x' is not served; 'digits' is\n");
    assertThat(script.headers().firstValue("Content-Type")).contains("text/plain; charset=utf-8");
    assertThat(script.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
  }

  @Test
  void ambiguousModel_isABadRequest() throws Exception {
    GatedNetwork cats = new GatedNetwork(TestModels.LATENT, 14 * 14);
    models.serve(
        ServedVersion.start(
            TestModels.publish(new ModelRepository(root), "cats", 1, 1),
            Provider.CPU,
            List.of(cats),
            GatedNetwork.TIMES,
            new BatchingPolicy(MAX_BATCH, Duration.ZERO, MAX_QUEUE),
            watch));
    assertRefused("format=raw", 400, "model: several models are served (cats, digits): say which");
  }

  @Test
  void fullQueue_isTooManyRequests_withWhenToComeBack() throws Exception {
    CompletableFuture<HttpResponse<String>> running = later("/v1/images?format=raw");
    network.awaitStarted();
    CompletableFuture<HttpResponse<String>> queued = later("/v1/images?format=raw&count=15");
    watch.awaitQueued(15);

    HttpResponse<String> full = get("/v1/images?format=raw&count=2&model=digits&version=1");
    assertThat(full.statusCode()).isEqualTo(429);
    assertThat(full.headers().firstValue("Retry-After")).as("1 ms, rounded up").contains("1");
    assertThat(full.body()).contains("15 images are queued of at most 20").hasLineCount(1);
    assertThat(full.headers().firstValue("ETag")).isEmpty();
    assertThat(full.headers().firstValue("Cache-Control")).contains("no-store");

    network.permit(10);
    assertThat(running.get(30, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
    assertThat(queued.get(30, TimeUnit.SECONDS).body()).hasSize(15 * 14 * 14);
  }

  @Test
  void responseMemory_isSharedWithOtherProtocols() throws Exception {
    network.permit(1000);
    List<ResponseBudget.Reservation> unread = new ArrayList<>();
    while (budget.size() - budget.reserved() > 1) {
      long bytes = Math.min((budget.size() - budget.reserved()) / 2, budget.size() / 4);
      unread.add(budget.reserve(new ClientConnection("a", "address " + unread.size()), bytes));
    }

    HttpResponse<String> refused = get("/v1/images?seed=1&format=raw&count=1");
    assertThat(refused.statusCode()).isEqualTo(429);
    assertThat(refused.headers().firstValue("Retry-After")).contains("1");
    assertThat(refused.headers().firstValue("ETag")).isEmpty();

    unread.forEach(ResponseBudget.Reservation::close);
    assertThat(get("/v1/images?seed=1&format=raw&count=1").statusCode()).isEqualTo(200);
  }

  @Test
  void longWait_isATimeout_andFreesTheQueue() throws Exception {
    CompletableFuture<HttpResponse<String>> running = later("/v1/images?format=raw");
    network.awaitStarted();
    HttpResponse<String> late = get("/impatient?format=raw&count=15");
    assertThat(late.statusCode()).isEqualTo(504);
    assertThat(late.body())
        .isEqualTo("no images within 300 ms; request fewer, or try again later\n");
    watch.awaitQueued(0);
    assertThat(running.isDone()).isFalse();
  }

  @Test
  void clientThatDisconnects_leavesTheQueueAtOnce() throws Exception {
    CompletableFuture<HttpResponse<String>> running = later("/v1/images?format=raw");
    network.awaitStarted();
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), endpoint.port())) {
      socket
          .getOutputStream()
          .write(
              "GET /v1/images?format=raw&count=15 HTTP/1.1\r\nHost: a\r\n\r\n"
                  .getBytes(StandardCharsets.US_ASCII));
      watch.awaitQueued(15);
    }
    watch.awaitQueued(0); // The network is still busy.
    assertThat(running.isDone()).isFalse();
    network.permit(1000);
    assertThat(running.get(30, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
  }

  @Test
  void knownImages_andHead_areAnsweredWithoutTheNetwork() throws Exception {
    // The network runs nothing: it has no permission.
    HttpResponse<String> head =
        send(request("/v1/images?seed=4&count=9").method("HEAD", BodyPublishers.noBody()));
    assertThat(head.statusCode()).isEqualTo(200);
    assertThat(head.headers().firstValue("Content-Type")).contains("image/png");
    String tag = head.headers().firstValue("ETag").orElseThrow();
    for (String known : List.of(tag, "*", "W/" + tag, "\"x\", " + tag)) {
      HttpResponse<String> same =
          send(request("/v1/images?seed=4&count=9").header("If-None-Match", known));
      assertThat(same.statusCode()).as(known).isEqualTo(304);
      assertThat(same.body()).isEmpty();
      assertThat(same.headers().firstValue("ETag")).contains(tag);
      assertThat(same.headers().firstValue("Cache-Control")).contains("no-cache");
    }
    HttpResponse<String> wrong =
        send(request("/v1/images?seed=4&count=0").header("If-None-Match", "*"));
    assertThat(wrong.statusCode()).isEqualTo(400);
  }

  @Test
  void preconditions_areChecked() throws Exception {
    String path = "/v1/images?seed=4&count=9";
    String tag =
        send(request(path).method("HEAD", BodyPublishers.noBody()))
            .headers()
            .firstValue("ETag")
            .orElseThrow();
    for (String wanted : List.of("\"x\"", "W/" + tag, "\"x\", \"y\"")) {
      HttpResponse<String> other = send(request(path).header("If-Match", wanted));
      assertThat(other.statusCode()).as(wanted).isEqualTo(412);
      assertThat(other.body()).contains(tag).hasLineCount(1);
    }
    for (String wanted : List.of(tag, "*", "\"x\", " + tag)) {
      HttpResponse<String> same =
          send(request(path).header("If-Match", wanted).header("If-None-Match", tag));
      assertThat(same.statusCode()).as(wanted).isEqualTo(304);
    }
  }

  @Test
  void typesThatAcceptExcludes_areNotAcceptable() throws Exception {
    HttpResponse<String> refused =
        send(request("/v1/images?count=9").header("Accept", "text/html, image/webp"));
    assertThat(refused.statusCode()).isEqualTo(406);
    assertThat(refused.body()).contains("image/png").hasLineCount(1);
    assertThat(send(request("/v1/images?format=raw").header("Accept", "image/*")).statusCode())
        .isEqualTo(406);
    network.permit(1000);
    String browser = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
    for (String format : List.of("png", "raw")) {
      String path = "/v1/images?format=" + format;
      assertThat(send(request(path).header("Accept", browser)).statusCode()).isEqualTo(200);
    }
  }

  @Test
  void failedRun_isAnInternalError_withoutDetail() throws Exception {
    network.breakDown();
    network.permit(1);
    assertRefused("format=raw", 500, "internal error; the server's log has the cause");
  }

  @Test
  void withoutAModel_itIsUnavailable() throws Exception {
    network.permit(1000);
    assertThat(models.close(Duration.ofSeconds(30))).isTrue();
    HttpResponse<String> refused = get("/v1/images");
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.headers().firstValue("Retry-After")).contains("1");
    assertThat(refused.body()).isEqualTo("no model is served here now; try again later\n");
  }

  @Test
  void versionOnDemand_isWaitedFor_andTooLongAWaitLeavesItToOthers() throws Exception {
    ModelRepository repository = new ModelRepository(root);
    TestModels.publish(repository, "digits", 1, 2);
    CountDownLatch loading = new CountDownLatch(1);
    Semaphore gate = new Semaphore(0);
    GatedNetwork old = new GatedNetwork(TestModels.LATENT, 14 * 14);
    old.permit(1000);
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
                  new BatchingPolicy(MAX_BATCH, Duration.ZERO, MAX_QUEUE),
                  watch);
            },
            new NoModelListener());
    CountDownLatch ready = new CountDownLatch(1);
    watcher.start(ready::countDown);
    HttpEndpoint other =
        HttpEndpoint.start(
            0,
            new PrometheusRegistry(),
            Map.of(
                ImageHandler.PATH,
                page(watcher.models(), Duration.ofSeconds(30)),
                "/impatient",
                page(watcher.models(), Duration.ofMillis(300))));
    try {
      assertThat(ready.await(30, TimeUnit.SECONDS)).isTrue();
      String base = "http://127.0.0.1:" + other.port();
      CompletableFuture<HttpResponse<String>> first =
          client.sendAsync(
              HttpRequest.newBuilder(URI.create(base + "/v1/images?format=raw&version=1")).build(),
              HttpResponse.BodyHandlers.ofString());
      assertThat(loading.await(30, TimeUnit.SECONDS)).isTrue();
      HttpResponse<String> late =
          send(HttpRequest.newBuilder(URI.create(base + "/impatient?format=raw&version=1")));
      assertThat(late.statusCode()).isEqualTo(504);
      gate.release();
      assertThat(first.get(30, TimeUnit.SECONDS).headers().firstValue("X-Model"))
          .contains("digits/1");
    } finally {
      gate.release();
      watcher.close();
      assertThat(watcher.awaitClosed(Duration.ofSeconds(30))).isTrue();
      assertThat(watcher.models().close(Duration.ofSeconds(30))).isTrue();
      assertThat(old.awaitClosed()).as("all uses of the version were released").isTrue();
      other.close();
    }
  }

  private ImageHandler page(ModelRegistry of, Duration longestWait) {
    return new ImageHandler(
        new ImageService(of, budget, Runnable::run), result -> {}, Runnable::run, longestWait);
  }

  private ServedVersion load(GatedNetwork run) throws IOException {
    return ServedVersion.start(
        TestModels.publish(new ModelRepository(root), "digits", 1, 1),
        Provider.CPU,
        List.of(run),
        GatedNetwork.TIMES,
        new BatchingPolicy(MAX_BATCH, Duration.ZERO, MAX_QUEUE),
        watch);
  }

  private void assertRefused(String query, int code, String line) throws Exception {
    HttpResponse<String> refused = get("/v1/images?" + query);
    assertThat(refused.statusCode()).as(refused.body()).isEqualTo(code);
    assertThat(refused.body()).startsWith(line).hasLineCount(1);
    assertThat(refused.headers().firstValue("Cache-Control")).contains("no-store");
  }

  private HttpResponse<String> get(String path) throws Exception {
    return send(request(path));
  }

  private CompletableFuture<HttpResponse<String>> later(String path) {
    return client.sendAsync(request(path).build(), HttpResponse.BodyHandlers.ofString());
  }

  private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + endpoint.port() + path));
  }
}
