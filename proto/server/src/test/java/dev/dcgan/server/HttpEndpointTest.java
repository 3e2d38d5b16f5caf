package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.dcgan.server.HttpEndpoint.Limits;
import dev.dcgan.v1.SamplerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class HttpEndpointTest {

  private static final int LARGE = 16 << 20;
  private static final Duration LONG = Duration.ofMinutes(10);
  private static final Path PROMTOOL = Path.of("/usr/bin/promtool");

  private final HttpClient client = HttpClient.newHttpClient();
  private final Semaphore arrived = new Semaphore(0);
  private final Semaphore gate = new Semaphore(0);
  private final CapturedLog log = new CapturedLog(HttpRouter.class);

  @TempDir Path folder;

  @AfterEach
  void end() {
    gate.release(1000);
    log.close();
  }

  @Test
  void metrics_areTheJvmsAndTheProcesses() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      assertThat(metrics(endpoint))
          .contains("jvm_memory_used_bytes{", "jvm_threads_current ", "process_cpu_seconds_total ")
          .contains("process_resident_memory_bytes ");
    }
  }

  @Test
  void metrics_comeCompressed_andInOtherFormats() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      HttpResponse<byte[]> zipped =
          client.send(
              request(endpoint, "/metrics").header("Accept-Encoding", "gzip").build(),
              HttpResponse.BodyHandlers.ofByteArray());
      assertThat(zipped.headers().firstValue("Content-Encoding")).contains("gzip");
      assertThat(new GZIPInputStream(new ByteArrayInputStream(zipped.body())).readAllBytes())
          .asString(StandardCharsets.UTF_8)
          .contains("jvm_");
      HttpResponse<String> open =
          send(
              request(endpoint, "/metrics")
                  .header("Accept", "application/openmetrics-text; version=1.0.0"));
      assertThat(open.headers().firstValue("Content-Type").orElseThrow())
          .startsWith("application/openmetrics-text");
      assertThat(open.body()).endsWith("# EOF\n");
      assertThat(get(endpoint, "/metrics?name%5B%5D=jvm_threads_current").body())
          .contains("jvm_threads_current")
          .doesNotContain("jvm_memory");
      HttpResponse<String> head = head(endpoint, "/metrics");
      assertThat(head.statusCode()).isEqualTo(200);
      assertThat(head.body()).isEmpty();
    }
  }

  @Test
  void probePort_servesProbesAndMetricsAlone_whileTheOthersThreadsAreBusy() throws Exception {
    PrometheusRegistry registry = new PrometheusRegistry();
    try (AccessControl access =
            AccessControl.start(new AccessConfig(null, 0, null, true, 0), null, registry);
        HttpEndpoint endpoint =
            HttpEndpoint.start(
                new InetSocketAddress(0),
                registry,
                Map.of("/page", call -> call.text(200, "page")),
                Set.of(),
                null,
                access)) {
      endpoint.setReadiness(
          () -> {
            arrived.release();
            gate.acquireUninterruptibly();
            return Optional.empty();
          });
      try (Socket waiting = begin(endpoint, "/readyz")) {
        arrived.acquire();
        String probes = "http://localhost:" + endpoint.probePort();
        assertThat(send(request(probes + "/healthz")).body()).isEqualTo("alive\n");
        assertThat(send(request(probes + "/metrics")).body()).contains("jvm_threads_current");
        assertThat(send(request(probes + "/page")).statusCode()).isEqualTo(404);
        assertThat(get(endpoint, "/page").body()).isEqualTo("page\n");
        gate.release(2);
        assertThat(send(request(probes + "/readyz")).body()).isEqualTo("ready\n");
        assertThat(waiting.getInputStream().read()).isEqualTo('H');
      }
    }
  }

  @Test
  void health_isOfTheProcess_readinessOfTheProgram() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      assertThat(get(endpoint, "/healthz").body()).isEqualTo("alive\n");
      HttpResponse<String> starting = get(endpoint, "/readyz");
      assertThat(starting.statusCode()).isEqualTo(503);
      assertThat(starting.body()).isEqualTo("starting\n");

      endpoint.setReadiness(Readiness.READY);
      HttpResponse<String> ready = get(endpoint, "/readyz");
      assertThat(ready.statusCode()).isEqualTo(200);
      assertThat(ready.body()).isEqualTo("ready\n");
      assertThat(ready.headers().firstValue("Cache-Control")).contains("no-store");
      assertThat(ready.headers().firstValue("X-Content-Type-Options")).contains("nosniff");

      endpoint.setReadiness(() -> Optional.of("draining"));
      assertThat(get(endpoint, "/readyz").body()).isEqualTo("draining\n");
      assertThat(get(endpoint, "/healthz").statusCode()).isEqualTo(200);
      HttpResponse<String> head = head(endpoint, "/readyz");
      assertThat(head.statusCode()).isEqualTo(503);
      assertThat(head.body()).isEmpty();
      assertThat(head.headers().firstValue("Content-Length")).contains("9");

      endpoint.setLiveness(() -> Optional.of("the device is lost"));
      HttpResponse<String> broken = get(endpoint, "/healthz");
      assertThat(broken.statusCode()).isEqualTo(503);
      assertThat(broken.body()).isEqualTo("the device is lost\n");
    }
  }

  @Test
  void otherPathsAndMethods_areRefusedInOneLine_andCounted() throws Exception {
    try (HttpEndpoint endpoint =
        HttpEndpoint.start(0, new PrometheusRegistry(), Map.of("/page", call -> {}))) {
      for (String path : List.of("/", "/metrics/", "/metricsx", "/page/1", "/%3Cb%3E")) {
        HttpResponse<String> missing = get(endpoint, path);
        assertThat(missing.statusCode()).as(path).isEqualTo(404);
        assertThat(missing.body()).contains("/healthz, /metrics, /page, /readyz");
        assertThat(missing.headers().firstValue("Content-Type"))
            .contains("text/plain; charset=utf-8");
      }
      for (String method : List.of("POST", "PUT", "DELETE", "PATCH", "TRACE")) {
        HttpResponse<String> refused =
            send(request(endpoint, "/healthz").method(method, BodyPublishers.noBody()));
        assertThat(refused.statusCode()).as(method).isEqualTo(405);
        assertThat(refused.headers().firstValue("Allow")).contains("GET, HEAD, OPTIONS");
      }
      HttpResponse<String> options =
          send(request(endpoint, "/page").method("OPTIONS", BodyPublishers.noBody()));
      assertThat(options.statusCode()).isEqualTo(204);
      assertThat(options.headers().firstValue("Allow")).contains("GET, HEAD, OPTIONS");
      assertThat(options.headers().firstValue("Access-Control-Allow-Origin")).isEmpty();
      HttpResponse<String> tooLong = get(endpoint, "/healthz?" + "x".repeat(2049));
      assertThat(tooLong.statusCode()).isEqualTo(414);
      awaitMetric(endpoint, "http_server_requests_total{code=\"404\",path=\"other\"} 5.0");
      awaitMetric(endpoint, "http_server_requests_total{code=\"405\",path=\"/healthz\"} 5.0");
      awaitMetric(endpoint, "http_server_requests_total{code=\"414\",path=\"/healthz\"} 1.0");
    }
  }

  @Test
  void bodiesOfPosts_areForPagesThatAcceptThem() throws Exception {
    HttpPage echo =
        new HttpPage() {
          @Override
          public void serve(HttpCall call) throws IOException {
            call.send(200, call.body());
          }

          @Override
          public int maxBody() {
            return 1000;
          }
        };
    Map<String, HttpPage> pages = Map.of("/a/*", echo, "/a/get", call -> call.text(200, "got"));
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry(), pages)) {
      assertThat(post(endpoint, "/a/b/c", "x".repeat(1000)).body()).isEqualTo("x".repeat(1000));
      assertThat(post(endpoint, "/a/b/c", "").statusCode()).isEqualTo(200);
      assertThat(post(endpoint, "/a/b/c", "x".repeat(1001)).statusCode()).isEqualTo(413);
      assertThat(post(endpoint, "/a/get", "x").statusCode()).isEqualTo(405);
      assertThat(post(endpoint, "/a", "x").statusCode()).isEqualTo(404);
      assertThat(get(endpoint, "/a/b").statusCode()).isEqualTo(200);
      HttpResponse<String> continued =
          send(
              request(endpoint, "/a/b").expectContinue(true).POST(BodyPublishers.ofString("late")));
      assertThat(continued.body()).isEqualTo("late");
      awaitMetric(endpoint, "http_server_requests_total{code=\"200\",path=\"/a/*\"} 4.0");
    }
  }

  @Test
  void clientOfEvents_thatReadsNothing_isDisconnected() throws Exception {
    CompletableFuture<Boolean> closed = new CompletableFuture<>();
    HttpPage flood =
        call ->
            call.openEvents()
                .ifPresent(
                    stream -> {
                      stream.listen(
                          new HttpEventStream.Listener() {
                            @Override
                            public void onReady() {
                              fill(stream);
                            }

                            @Override
                            public void onClosed() {
                              closed.complete(true);
                            }
                          });
                      fill(stream);
                    });
    Duration stalled = Duration.ofMillis(100);
    Limits limits = new Limits(100, 2, 3, LONG, LONG, LONG, 1, stalled, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(Map.of("/events", flood), Set.of(), limits);
        Socket silent = new Socket(InetAddress.getLoopbackAddress(), endpoint.port())) {
      silent
          .getOutputStream()
          .write("GET /events HTTP/1.1\r\nHost: a\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      assertThat(closed.get(30, TimeUnit.SECONDS)).isTrue();
      assertThat(get(endpoint, "/healthz").statusCode()).isEqualTo(200);
    }
  }

  @Test
  void streamsOfEvents_areLimited_andEndAtShutdown() throws Exception {
    CompletableFuture<HttpEventStream> opened = new CompletableFuture<>();
    HttpPage page = call -> call.openEvents().ifPresent(opened::complete);
    Limits limits = new Limits(100, 1, 3, LONG, LONG, LONG, 1, LONG, ReadTime.DEFAULT);
    HttpEndpoint endpoint = start(Map.of("/events", page), Set.of(), limits);
    CompletableFuture<HttpResponse<String>> viewer =
        client.sendAsync(
            request(endpoint, "/events").build(), HttpResponse.BodyHandlers.ofString());
    HttpEventStream stream = opened.get(30, TimeUnit.SECONDS);
    HttpResponse<String> refused = get(endpoint, "/events");
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(refused.headers().firstValue("Retry-After")).isPresent();

    stream.send(7, "{}");
    stream.sendAs("end", "{}");
    stream.end();
    endpoint.drain(Duration.ofSeconds(30));

    assertThat(viewer.get().headers().firstValue("Content-Type"))
        .contains("text/event-stream; charset=utf-8");
    assertThat(viewer.get().body()).isEqualTo("id: 7\ndata: {}\n\nevent: end\ndata: {}\n\n");
  }

  @Test
  void pageThatThrows_isAnInternalError_withoutDetail() throws Exception {
    HttpPage broken =
        call -> {
          throw new IllegalStateException("secret");
        };
    try (HttpEndpoint endpoint =
        HttpEndpoint.start(0, new PrometheusRegistry(), Map.of("/page", broken))) {
      HttpResponse<String> failed = get(endpoint, "/page");
      assertThat(failed.statusCode()).isEqualTo(500);
      assertThat(failed.body()).isEqualTo("internal error; the server's log has the cause\n");
      assertThat(log.lines()).containsExactly("ERROR /page failed");
    }
  }

  @Test
  void aMetricThatThrows_isAnInternalError_withoutDetail() throws Exception {
    PrometheusRegistry registry = new PrometheusRegistry();
    GaugeWithCallback.builder()
        .name("broken")
        .callback(
            callback -> {
              throw new IllegalStateException("secret");
            })
        .register(registry);
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, registry)) {
      HttpResponse<String> failed = get(endpoint, "/metrics");
      assertThat(failed.statusCode()).isEqualTo(500);
      assertThat(failed.body()).isEqualTo("internal error; the server's log has the cause\n");
      assertThat(log.lines()).containsExactly("ERROR /metrics failed");
    }
  }

  @Test
  void aScraperThatHangsUp_isNoError() throws Exception {
    PrometheusRegistry registry = new PrometheusRegistry();
    GaugeWithCallback.builder()
        .name("waiting")
        .callback(
            callback -> {
              arrived.release();
              gate.acquireUninterruptibly();
            })
        .register(registry);
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, registry)) {
      Socket scraper = new Socket(InetAddress.getLoopbackAddress(), endpoint.port());
      scraper
          .getOutputStream()
          .write("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      arrived.acquire();
      scraper.setSoLinger(true, 0); // The connection is reset before the response.
      scraper.close();
      gate.release(1000);
      endpoint.drain(Duration.ofSeconds(30));
      assertThat(log.lines()).isEmpty();
    }
  }

  @Test
  void linesThatQuoteTheCaller_stayShortAndOne() throws Exception {
    HttpPage echo = call -> call.text(400, "a\r\nb" + "c".repeat(1000));
    try (HttpEndpoint endpoint =
        HttpEndpoint.start(0, new PrometheusRegistry(), Map.of("/page", echo))) {
      assertThat(get(endpoint, "/page").body()).isEqualTo("a??b" + "c".repeat(496) + " ...\n");
    }
  }

  @Test
  void slowRequests_wait_thenAreRefused_andHealthResponds() throws Exception {
    Limits limits = new Limits(100, 4, 6, LONG, LONG, LONG, 2, LONG, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(slowPage(), Set.of(), limits)) {
      List<CompletableFuture<HttpResponse<String>>> slow = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        slow.add(later(endpoint, "/slow"));
      }
      arrived.acquire(2);
      // The others may still be on their way, but not more than five are taken.
      CompletableFuture<HttpResponse<String>> refused;
      do {
        refused = later(endpoint, "/slow");
        slow.add(refused);
        assertThat(get(endpoint, "/healthz").statusCode()).isEqualTo(200);
      } while (!refused.isDone());
      assertThat(refused.get().statusCode()).isEqualTo(503);
      assertThat(refused.get().headers().firstValue("Retry-After")).contains("1");
      assertThat(metrics(endpoint)).contains("jvm_");

      gate.release(1000);
      int served = 0;
      for (CompletableFuture<HttpResponse<String>> each : slow) {
        served += each.get(30, TimeUnit.SECONDS).statusCode() == 200 ? 1 : 0;
      }
      assertThat(served).isEqualTo(5);
      assertThat(get(endpoint, "/slow").statusCode()).isEqualTo(200);
    }
  }

  @Test
  void placesOfOneAddress_leaveAsManyForOthers() throws Exception {
    Limits limits = new Limits(100, 4, 6, LONG, LONG, LONG, 2, LONG, ReadTime.DEFAULT);
    HttpPage events =
        call -> {
          var unused = call.openEvents();
        };
    Map<String, HttpPage> pages = new HashMap<>(slowPage());
    pages.put("/events", events);
    try (HttpEndpoint endpoint = start(pages, Set.of(), limits);
        Socket viewer = begin(endpoint, "/events", "127.0.0.2");
        Socket refusedViewer = begin(endpoint, "/events", "127.0.0.2");
        Socket otherViewer = begin(endpoint, "/events", "127.0.0.3")) {
      assertThat(Stream.of(statusLine(viewer), statusLine(refusedViewer)))
          .containsExactlyInAnyOrder("HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable");
      assertThat(statusLine(otherViewer)).isEqualTo("HTTP/1.1 200 OK");

      List<Socket> many = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        many.add(begin(endpoint, "/slow", "127.0.0.2"));
      }
      arrived.acquire(2);
      while (many.stream().allMatch(HttpEndpointTest::isSilent)) {
        Thread.onSpinWait(); // Until one is refused: two are served, three wait.
      }
      List<Socket> others = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        others.add(begin(endpoint, "/slow", "127.0.0.3"));
      }
      arrived.acquire(2); // They do not wait behind the three.
      assertThat(many.stream().filter(HttpEndpointTest::isSilent)).hasSize(5);

      gate.release(1000);
      for (Socket served : others) {
        assertThat(statusLine(served)).isEqualTo("HTTP/1.1 200 OK");
      }
      int refused = 0;
      for (Socket served : many) {
        refused += statusLine(served).contains("503") ? 1 : 0;
        served.close();
      }
      assertThat(refused).isEqualTo(1);
      for (Socket served : others) {
        served.close();
      }
    }
  }

  private static boolean isSilent(Socket socket) {
    try {
      return socket.getInputStream().available() == 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String statusLine(Socket socket) throws IOException {
    return new BufferedReader(
            new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII))
        .readLine();
  }

  @Test
  void requestsThatWaitedTooLong_areRefused() throws Exception {
    Limits limits = new Limits(100, 1, 3, Duration.ZERO, LONG, LONG, 2, LONG, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(slowPage(), Set.of(), limits)) {
      HttpResponse<String> refused = get(endpoint, "/slow");
      assertThat(refused.statusCode()).isEqualTo(503);
      assertThat(refused.headers().firstValue("Retry-After")).contains("1");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "GET /heal", "GET /slow HTTP/1.1\r\nHost: a\r\nX-"})
  void halfOpenConnections_areReplacedByNewOnes(String begun) throws Exception {
    Limits limits = new Limits(20, 2, 3, LONG, LONG, LONG, 2, LONG, ReadTime.DEFAULT);
    List<Socket> sockets = new ArrayList<>();
    try (HttpEndpoint endpoint = start(slowPage(), Set.of(), limits)) {
      for (int i = 0; i < 100; i++) {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), endpoint.port());
        sockets.add(socket);
        socket.getOutputStream().write(begun.getBytes(StandardCharsets.US_ASCII));
      }
      for (String path : List.of("/healthz", "/metrics")) {
        HttpResponse<String> response = get(endpoint, path);
        assertThat(response.statusCode()).as(path).isEqualTo(200);
      }
      // The one that has waited longest was closed for it.
      assertThat(isClosed(sockets.get(0))).isTrue();
    } finally {
      for (Socket socket : sockets) {
        socket.close();
      }
    }
  }

  @Test
  void silentConnections_areClosedInTime() throws Exception {
    Duration brief = Duration.ofMillis(100);
    Limits limits = new Limits(20, 2, 3, LONG, brief, LONG, 2, LONG, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(Map.of(), Set.of(), limits);
        Socket silent = new Socket(InetAddress.getLoopbackAddress(), endpoint.port())) {
      assertThat(isClosed(silent)).isTrue();
    }
  }

  @Test
  void clientsThatDisconnect_freeTheirPlacesAtOnce() throws Exception {
    HttpPage untilDisconnected =
        call -> {
          Semaphore gone = new Semaphore(0);
          call.onDisconnect(gone::release);
          arrived.release();
          gone.acquireUninterruptibly();
        };
    Limits limits = new Limits(100, 1, 1, LONG, LONG, LONG, 1, LONG, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(Map.of("/slow", untilDisconnected), Set.of(), limits)) {
      Socket running = begin(endpoint, "/slow");
      arrived.acquire();
      // One of them waits, and the other one is refused.
      Socket a = begin(endpoint, "/slow");
      Socket b = begin(endpoint, "/slow");
      while (a.getInputStream().available() + b.getInputStream().available() == 0) {
        Thread.onSpinWait();
      }
      a.close();
      b.close();
      awaitDisconnected(endpoint, 1); // While the thread is still taken.
      running.close();
      awaitDisconnected(endpoint, 2);
    }
  }

  private void awaitDisconnected(HttpEndpoint endpoint, int count) throws Exception {
    String line = "http_server_requests_total{code=\"0\",path=\"/slow\"} " + count;
    while (!metrics(endpoint).contains(line)) {
      Thread.onSpinWait();
    }
  }

  @Test
  void responseThatIsNotRead_needsNoThread() throws Exception {
    Limits limits = new Limits(100, 1, 1, LONG, LONG, LONG, 1, LONG, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(Map.of("/large", large(() -> {})), Set.of(), limits);
        Socket silent = begin(endpoint, "/large")) {
      arrived.acquire();
      assertThat(get(endpoint, "/large").body()).hasSize(LARGE);
      assertThat(silent.isClosed()).isFalse();
    }
  }

  @Test
  void responseThatIsNotReadInTime_isCancelled() throws Exception {
    CompletableFuture<Void> sent = new CompletableFuture<>();
    ReadTime brief = new ReadTime(Duration.ofMillis(1), Long.MAX_VALUE);
    Limits limits = new Limits(100, 1, 1, LONG, LONG, LONG, 1, LONG, brief);
    HttpPage page = large(() -> sent.complete(null));
    try (HttpEndpoint endpoint = start(Map.of("/large", page), Set.of(), limits);
        Socket silent = begin(endpoint, "/large")) {
      sent.get(30, TimeUnit.SECONDS);
      assertThat(readFully(silent)).isLessThan(LARGE);
    }
  }

  private HttpPage large(Runnable sent) {
    byte[] body = new byte[LARGE];
    return call -> {
      call.send(200, body.length, out -> out.write(body), sent);
      arrived.release();
    };
  }

  @Test
  void connectionsOfOneAddress_doNotReplaceThoseOfOthers() throws Exception {
    Limits limits = new Limits(8, 2, 3, LONG, LONG, LONG, 1, LONG, ReadTime.DEFAULT);
    try (HttpEndpoint endpoint = start(Map.of(), Set.of(), limits);
        Socket other =
            new Socket(
                InetAddress.getLoopbackAddress(),
                endpoint.port(),
                InetAddress.getAllByName("127.0.0.3")[0],
                0)) {
      List<Socket> many = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        many.add(new Socket(InetAddress.getLoopbackAddress(), endpoint.port()));
      }
      for (Socket socket : many.subList(0, 46)) {
        assertThat(isClosed(socket)).isTrue();
      }
      other
          .getOutputStream()
          .write("GET /healthz HTTP/1.0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      assertThat(new String(other.getInputStream().readAllBytes(), StandardCharsets.US_ASCII))
          .startsWith("HTTP/1.1 200");
      for (Socket socket : many) {
        socket.close();
      }
    }
  }

  @Test
  void connections_serveManyRequests_alsoPipelined() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry());
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), endpoint.port())) {
      String request = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
      String last = "GET http://a/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
      socket
          .getOutputStream()
          .write((request.repeat(5) + last).getBytes(StandardCharsets.US_ASCII));
      String responses =
          new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      assertThat(responses.split("HTTP/1.1 200 OK", -1)).hasSize(7);
      assertThat(responses.split("alive", -1)).hasSize(7);
    }
  }

  @ParameterizedTest
  @CsvSource({"GET,400", "GET / HTTP/1.1 x,400"})
  void invalidHttp_isABadRequest_inOneLine(String line, int code) throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry());
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), endpoint.port())) {
      socket.getOutputStream().write((line + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
      String response =
          new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      assertThat(response).startsWith("HTTP/1.1 " + code).contains("text/plain");
    }
  }

  @Test
  void cors_isForTheProgramsPagesAndTheNamedOrigins() throws Exception {
    Map<String, HttpPage> pages = Map.of("/page", call -> call.text(200, "page"));
    Set<String> origins = Set.of("https://a.example", "https://b.example");
    try (HttpEndpoint endpoint = start(pages, origins, Limits.DEFAULT)) {
      assertThat(allowed(endpoint, "/page", "https://a.example")).contains("https://a.example");
      assertThat(allowed(endpoint, "/page", "https://c.example")).isEmpty();
      assertThat(allowed(endpoint, "/metrics", "https://a.example")).isEmpty();
      HttpResponse<String> preflight =
          send(
              request(endpoint, "/page")
                  .header("Origin", "https://b.example")
                  .header("Access-Control-Request-Method", "GET")
                  .header("Access-Control-Request-Headers", "if-none-match")
                  .method("OPTIONS", BodyPublishers.noBody()));
      assertThat(preflight.statusCode()).isEqualTo(204);
      assertThat(preflight.headers().firstValue("Access-Control-Allow-Origin"))
          .contains("https://b.example");
      assertThat(preflight.headers().firstValue("Access-Control-Allow-Headers")).contains("*");
      assertThat(get(endpoint, "/page").headers().firstValue("Vary")).contains("Origin");
    }
    try (HttpEndpoint endpoint = start(pages, Set.of("*"), Limits.DEFAULT)) {
      assertThat(allowed(endpoint, "/page", "https://c.example")).contains("*");
    }
  }

  private Optional<String> allowed(HttpEndpoint endpoint, String path, String origin)
      throws Exception {
    return send(request(endpoint, path).header("Origin", origin))
        .headers()
        .firstValue("Access-Control-Allow-Origin");
  }

  private static void fill(HttpEventStream stream) {
    while (stream.isReady()) {
      stream.send(0, "x".repeat(10_000));
    }
  }

  private HttpResponse<String> post(HttpEndpoint endpoint, String path, String body)
      throws Exception {
    return send(request(endpoint, path).POST(BodyPublishers.ofString(body)));
  }

  private static HttpEndpoint start(Map<String, HttpPage> pages, Set<String> origins, Limits limits)
      throws IOException {
    return HttpEndpoint.start(
        new InetSocketAddress(0), new PrometheusRegistry(), pages, origins, limits);
  }

  private static Socket begin(HttpEndpoint endpoint, String path) throws IOException {
    return begin(endpoint, path, "127.0.0.1");
  }

  private static Socket begin(HttpEndpoint endpoint, String path, String from) throws IOException {
    Socket socket = new Socket();
    socket.bind(new InetSocketAddress(InetAddress.getAllByName(from)[0], 0));
    socket.setReceiveBufferSize(4096);
    socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), endpoint.port()));
    String request = "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
    socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
    return socket;
  }

  private static long readFully(Socket socket) {
    long read = 0;
    byte[] buffer = new byte[1 << 16];
    try {
      for (int n = 0; n >= 0; n = socket.getInputStream().read(buffer)) {
        read += n;
      }
    } catch (IOException e) {
      return read; // Reset.
    }
    return read;
  }

  private static boolean isClosed(Socket socket) throws IOException {
    socket.setSoTimeout(30_000);
    try {
      return socket.getInputStream().read() == -1;
    } catch (SocketException e) {
      return true; // Reset, because the server had not read all.
    }
  }

  @Test
  void drain_waitsForTheRequestsUnderWay() throws Exception {
    HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry(), slowPage());
    CompletableFuture<HttpResponse<String>> slow = later(endpoint, "/slow");
    arrived.acquire();
    CompletableFuture<Void> drained =
        CompletableFuture.runAsync(
            () -> {
              try {
                endpoint.drain(Duration.ofSeconds(30));
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
    assertThat(get(endpoint, "/healthz").statusCode()).isEqualTo(200);
    assertThat(drained.isDone()).isFalse();
    gate.release();
    assertThat(slow.get(30, TimeUnit.SECONDS).body()).isEqualTo("slow\n");
    drained.get(30, TimeUnit.SECONDS);
    assertThatThrownBy(() -> get(endpoint, "/healthz")).isInstanceOf(IOException.class);
  }

  @Test
  void drain_cancelsRequestsAfterTheGracePeriod() throws Exception {
    HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry(), slowPage());
    CompletableFuture<HttpResponse<String>> slow = later(endpoint, "/slow");
    arrived.acquire();
    endpoint.drain(Duration.ofMillis(10));
    assertThatThrownBy(() -> slow.get(30, TimeUnit.SECONDS)).hasCauseInstanceOf(IOException.class);
  }

  @Test
  void start_onAPortInUse_saysWhichAndWhatToDo() throws Exception {
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, new PrometheusRegistry())) {
      assertThatThrownBy(() -> HttpEndpoint.start(endpoint.port(), new PrometheusRegistry()))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "cannot serve HTTP on port %d (Address already in use); choose another with --http-port"
                  .formatted(endpoint.port()));
    }
  }

  @Test
  void close_freesThePort() throws Exception {
    HttpEndpoint first = HttpEndpoint.start(0, new PrometheusRegistry());
    int port = first.port();
    first.close();

    try (HttpEndpoint second = HttpEndpoint.start(port, new PrometheusRegistry())) {
      assertThat(metrics(second)).contains("jvm_");
    }
  }

  @Test
  void metrics_ofAServerThatWasCalled_pleasePromtool() throws Exception {
    assumeThat(PROMTOOL).isExecutable();
    PrometheusRegistry registry = new PrometheusRegistry();
    String text;
    try (HttpEndpoint endpoint = HttpEndpoint.start(0, registry)) {
      callOnce(registry);
      assertThat(get(endpoint, "/healthz").statusCode()).isEqualTo(200);
      awaitMetric(endpoint, "http_server_requests_total{code=\"200\",path=\"/healthz\"} 1.0");
      text = metrics(endpoint);
    }
    assertThat(text)
        .contains("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Generate\"")
        .contains("grpc_server_handling_seconds_bucket{grpc_method=\"Generate\"")
        .contains("# TYPE http_server_requests_total counter");

    Path input = Files.writeString(folder.resolve("metrics"), text);
    Process promtool =
        new ProcessBuilder(PROMTOOL.toString(), "check", "metrics")
            .redirectInput(input.toFile())
            .redirectErrorStream(true)
            .start();
    String complaints =
        new String(promtool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(complaints).isEmpty();
    assertThat(promtool.waitFor()).isZero();
  }

  /** A page that reports each request and then waits for the gate. */
  private Map<String, HttpPage> slowPage() {
    return Map.of(
        "/slow",
        call -> {
          arrived.release();
          try {
            gate.acquire();
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
          call.text(200, "slow");
        });
  }

  private static void callOnce(PrometheusRegistry registry) throws IOException {
    try (GrpcServer server = GrpcServer.start(0, new FakeSampler(), registry)) {
      ManagedChannel channel =
          Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
              .build();
      try {
        SamplerServiceGrpc.newBlockingStub(channel).generate(FakeSampler.request(1));
      } finally {
        channel.shutdownNow();
      }
    }
  }

  private String metrics(HttpEndpoint endpoint) throws Exception {
    HttpResponse<String> response = get(endpoint, "/metrics");
    assertThat(response.statusCode()).isEqualTo(200);
    return response.body();
  }

  /** A request is counted just after its response was sent. */
  private void awaitMetric(HttpEndpoint endpoint, String line) throws Exception {
    long start = System.nanoTime();
    while (!metrics(endpoint).contains(line)) {
      assertThat(System.nanoTime() - start).as(line).isLessThan(TimeUnit.SECONDS.toNanos(30));
    }
  }

  private HttpResponse<String> get(HttpEndpoint endpoint, String path) throws Exception {
    return send(request(endpoint, path));
  }

  private HttpResponse<String> head(HttpEndpoint endpoint, String path) throws Exception {
    return send(request(endpoint, path).method("HEAD", BodyPublishers.noBody()));
  }

  private CompletableFuture<HttpResponse<String>> later(HttpEndpoint endpoint, String path) {
    return client.sendAsync(request(endpoint, path).build(), HttpResponse.BodyHandlers.ofString());
  }

  private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private static HttpRequest.Builder request(HttpEndpoint endpoint, String path) {
    return request("http://127.0.0.1:" + endpoint.port() + path);
  }

  private static HttpRequest.Builder request(String uri) {
    return HttpRequest.newBuilder(URI.create(uri));
  }
}
