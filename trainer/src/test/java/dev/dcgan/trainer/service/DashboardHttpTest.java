package dev.dcgan.trainer.service;

import static dev.dcgan.trainer.service.TestRunManager.config;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.GrpcLimits;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.service.FakeTrainer.Session;
import dev.dcgan.v1.GetSamplesRequest;
import dev.dcgan.v1.GetSamplesResponse;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.TrainerServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the dashboard reads and does, over sockets, with a trainer that the test holds back. */
@Timeout(value = 1, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DashboardHttpTest {

  private static final Duration GRACE = Duration.ofSeconds(30);
  private static final byte[] PNG = {(byte) 0x89, 'P', 'N', 'G'};

  @TempDir private Path folder;

  private final HttpClient client = HttpClient.newHttpClient();
  private final FakeTrainer trainer = new FakeTrainer();
  private final FakePublishTarget target = new FakePublishTarget();
  private TrainerServer server;

  @BeforeEach
  void serve() throws IOException {
    server = start(InetAddress.getLoopbackAddress(), false);
  }

  @AfterEach
  void end() throws InterruptedException {
    target.permits.release(1000);
    server.drain(GRACE);
  }

  @Test
  void runs_areJson_newestFirst_inPages() throws Exception {
    assertThat(json(get("/v1/runs"))).isEqualTo("{\"runs\":[],\"nextPageToken\":\"\"}");
    String first = startRun("{\"epochs\":3,\"model\":\"a\"}");
    String second = startRun("{\"epochs\":4,\"model\":\"b\"}");

    Struct page = struct(get("/v1/runs?page_size=1"));
    assertThat(runIds(page)).containsExactly(second);
    String token = page.getFieldsOrThrow("nextPageToken").getStringValue();
    assertThat(runIds(struct(get("/v1/runs?page_size=1&page_token=" + token))))
        .containsExactly(first);
    Struct run = struct(get("/v1/runs/" + first));
    assertThat(run.getFieldsOrThrow("config").getStructValue().getFieldsOrThrow("epochs"))
        .extracting(Value::getNumberValue)
        .isEqualTo(3.0);
    assertThat(get("/v1/runs?page_size=1001").statusCode()).isEqualTo(400);
    assertThat(get("/v1/runs/absent").statusCode()).isEqualTo(404);
    assertThat(get("/v1/runs/..%2Fup").statusCode()).isEqualTo(404);
  }

  @Test
  void run_hasTheAddressOfItsCaller() throws Exception {
    String id = startRun("{}");
    assertThat(struct(get("/v1/runs/" + id)).getFieldsOrThrow("caller").getStringValue())
        .isEqualTo("127.0.0.1");
  }

  @Test
  void json_namesNoFolderOfThisMachine() throws Exception {
    Files.createDirectories(folder.resolve("faces"));
    String id = startRun("{\"data\":\"faces\",\"preset\":\"paper64\"}");
    trainer.next().fail("cannot read " + folder.resolve("faces/a.png") + ": damaged");
    awaitEnd(id);

    String run = get("/v1/runs/" + id).body();
    assertThat(run).contains("\"data\":\"faces\"", "cannot read a.png: damaged");
    assertThat(run + get("/v1/runs").body() + events(id, -1))
        .doesNotContain(folder.toString(), folder.getFileName().toString());
  }

  @Test
  void events_areTheHistory_thenLive_andContinueWhereTheyEnded() throws Exception {
    String id = startRun("{}");
    Session session = trainer.next();
    session.event(step(50));
    session.event(step(100));
    try (BufferedReader live = open(id)) {
      List<String> seen = new ArrayList<>(next(live, 3));
      assertThat(seen)
          .satisfiesExactly(
              one -> assertThat(one).contains("RUN_STATE_RUNNING"),
              one -> assertThat(one).contains("\"step\":\"50\""),
              one -> assertThat(one).contains("\"step\":\"100\""));
      session.event(step(150));
      assertThat(next(live, 1)).singleElement().asString().contains("\"step\":\"150\"");
      session.succeed();
      assertThat(next(live, 2))
          .satisfiesExactly(
              one -> assertThat(one).contains("RUN_STATE_SUCCEEDED"),
              one -> assertThat(one).isEqualTo("data: {}"));
      assertThat(live.lines().toList()).as("the stream ends").isNotNull();
    }
    assertThat(events(id, 2)).contains("\"step\":\"150\"").doesNotContain("\"step\":\"100\"");
    assertThat(events(id, -1)).contains("id: 0\n", "id: 4\n", "event: end\n");
    HttpResponse<String> wrong =
        client.send(
            request("/v1/runs/" + id + "/events").header("Last-Event-ID", "x").build(),
            BodyHandlers.ofString());
    assertThat(wrong.statusCode()).isEqualTo(400);
    assertThat(get("/v1/runs/absent/events").statusCode()).isEqualTo(404);
  }

  @Test
  void hundredsOfViewers_seeARun_andAreReleased() throws Exception {
    String id = startRun("{}");
    Session session = trainer.next();
    int viewers = 200;
    List<Socket> sockets = new ArrayList<>();
    try {
      for (int i = 0; i < viewers; i++) {
        sockets.add(socket(id));
      }
      for (Socket socket : sockets) {
        assertThat(next(reader(socket), 1)).singleElement().asString().contains("RUNNING");
      }
      for (Socket gone : sockets.subList(0, viewers / 2)) {
        gone.close();
      }
      session.event(step(50));
      for (Socket socket : sockets.subList(viewers / 2, viewers)) {
        assertThat(next(reader(socket), 1)).singleElement().asString().contains("\"50\"");
      }
      session.succeed();
      awaitEnd(id);
    } finally {
      for (Socket socket : sockets) {
        socket.close();
      }
    }
  }

  @Test
  void viewerThatReadsNothing_delaysNeitherTheRunNorOthers() throws Exception {
    String id = startRun("{}");
    Session session = trainer.next();
    try (Socket silent = socket(id)) {
      silent.setReceiveBufferSize(1024);
      RunEvent.Builder large = RunEvent.newBuilder();
      large.getWarningBuilder().setMessage("x".repeat(20_000));
      for (int i = 0; i < 500; i++) { // 10 MB: more than all sockets' buffers
        session.event(large.clone());
      }
      session.succeed();
      assertThat(events(id, -1)).contains("RUN_STATE_SUCCEEDED");
    }
  }

  @Test
  void viewers_getTheLastEvents_whenTheServiceEnds() throws Exception {
    String id = startRun("{}");
    Session session = trainer.next();
    try (BufferedReader live = open(id)) {
      next(live, 1);
      session.event(step(50));
      CompletableFuture<Void> drained = CompletableFuture.runAsync(this::drain);
      assertThat(next(live, 1)).singleElement().asString().contains("\"50\"");
      assertThat(live.lines().filter(line -> !line.isEmpty())).as("the stream ends").isEmpty();
      drained.get(30, TimeUnit.SECONDS);
    }
    serve();
    trainer.next().succeed();
  }

  @Test
  void samples_areFiles_overHttpAndGrpc() throws Exception {
    String id = startRun("{}");
    trainer.next();
    RunDirectory run = directory(id);
    Files.write(run.samples(0), PNG);
    Files.write(run.realVersusGenerated(), PNG);

    HttpResponse<byte[]> grid = bytes("/v1/runs/" + id + "/samples/epoch-000.png");
    assertThat(grid.body()).isEqualTo(PNG);
    assertThat(grid.headers().firstValue("Content-Type")).contains("image/png");
    String tag = grid.headers().firstValue("ETag").orElseThrow();
    assertThat(
            client
                .send(
                    request("/v1/runs/" + id + "/samples/epoch-000.png")
                        .header("If-None-Match", tag)
                        .build(),
                    BodyHandlers.ofString())
                .statusCode())
        .isEqualTo(304);
    assertThat(bytes("/v1/runs/" + id + "/real-vs-generated.png").body()).isEqualTo(PNG);
    for (String wrong :
        List.of("epoch-002.png", "..%2Frun.json", "..", "run.json", "../run.json", "a/b.png")) {
      assertThat(get("/v1/runs/" + id + "/samples/" + wrong).statusCode()).as(wrong).isEqualTo(404);
    }
    Files.write(run.samples(1), new byte[4 << 20]);
    assertThat(bytes("/v1/runs/" + id + "/samples/epoch-001.png").body()).hasSize(4 << 20);
    ManagedChannel channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    try {
      TrainerServiceGrpc.TrainerServiceBlockingStub stub =
          TrainerServiceGrpc.newBlockingStub(channel);
      GetSamplesRequest.Builder request = GetSamplesRequest.newBuilder().setRunId(id);
      GetSamplesResponse response = stub.getSamples(request.setName("epoch-000.png").build());
      assertThat(response.getPng().toByteArray()).isEqualTo(PNG);
      assertThatExceptionOfType(StatusRuntimeException.class)
          .isThrownBy(() -> stub.getSamples(request.setName("epoch-001.png").build()))
          .withMessageContaining("FAILED_PRECONDITION");
    } finally {
      channel.shutdownNow();
    }
  }

  @Test
  void checkpoints_areDownloaded_byTheirNamesOnly() throws Exception {
    String id = startRun("{}");
    Session session = trainer.next();
    byte[] large = new byte[3 << 20];
    large[7] = 7;
    Files.write(directory(id).checkpoints().resolve("step-00000001.safetensors"), large);
    session.record.update(run -> run.addCheckpoints("step-00000001.safetensors"));

    HttpResponse<byte[]> file = bytes("/v1/runs/" + id + "/checkpoints/step-00000001.safetensors");
    assertThat(file.body()).isEqualTo(large);
    assertThat(file.headers().firstValue("Content-Disposition").orElseThrow())
        .contains("attachment", id);
    assertThat(get("/v1/runs/" + id + "/checkpoints/run.json").statusCode()).isEqualTo(404);
  }

  @Test
  void actions_startStopAndResume() throws Exception {
    String id = startRun("{\"epochs\":3}");
    trainer.next();
    HttpResponse<String> stopped = post("/v1/runs/" + id + ":stop", "{}");
    assertThat(stopped.statusCode()).isEqualTo(200);
    awaitEnd(id);
    assertThat(get("/v1/runs/" + id).body()).contains("RUN_STATE_STOPPED");

    HttpResponse<String> resumed = post("/v1/runs/" + id + ":resume", "{\"epochs\":5}");
    assertThat(resumed.statusCode()).as(resumed.body()).isEqualTo(200);
    Session again = trainer.next();
    assertThat(again.config.hyperparameters().epochs()).isEqualTo(5);
    assertThat(post("/v1/runs/" + again.id() + ":resume", "{}").statusCode()).isEqualTo(409);
    assertThat(post("/v1/runs/absent:stop", "{}").statusCode()).isEqualTo(404);
    assertThat(post("/v1/runs/" + id + ":delete", "{}").statusCode()).isEqualTo(404);
    again.succeed();
  }

  @Test
  void invalidSettings_areNamedByField() throws Exception {
    HttpResponse<String> invalid =
        post("/v1/runs", "{\"config\":{\"epochs\":0,\"width\":\"1\",\"data\":\"../up\"}}");
    assertThat(invalid.statusCode()).isEqualTo(400);
    assertThat(fields(invalid))
        .containsExactlyInAnyOrder("config.epochs", "config.width", "config.data");
    assertThat(
            fields(post("/v1/runs", "{\"config\":{\"epochs\":\"many\",\"beta1\":\"x\",\"no\":1}}")))
        .containsExactly("config.epochs", "config.beta1", "config.no");
    for (String body : List.of("", "[]", "{", "{\"config\":1}", "{\"unknown\":1}")) {
      assertThat(post("/v1/runs", body).statusCode()).as(body).isEqualTo(400);
    }
    assertThat(post("/v1/runs", "x".repeat(65 << 10)).statusCode()).isEqualTo(413);
    assertThat(trainer.isIdle()).isTrue();
  }

  @Test
  void actions_areRefused_fromOtherSites() throws Exception {
    String own = "localhost:" + server.httpPort();
    assertThat(raw("/v1/runs", own, "Origin: http://" + own, "application/json"))
        .contains("200 OK");
    assertThat(raw("/v1/runs", own, "Origin: http://evil.example", "application/json"))
        .contains("403 Forbidden");
    assertThat(raw("/v1/runs", own, "Origin: null", "application/json")).contains("403 Forbidden");
    assertThat(raw("/v1/runs", own, "A: b", "text/plain")).contains("403 Forbidden");
    String rebound = "evil.example:" + server.httpPort();
    assertThat(raw("/v1/runs", rebound, "Origin: http://" + rebound, "application/json"))
        .contains("403 Forbidden");
  }

  @Test
  void onAllAddresses_itOnlyReads_unlessActionsAreAllowed() throws Exception {
    server.drain(GRACE);
    server = start(null, false);
    assertThat(get("/v1/form").body()).contains("\"actions\":false");
    assertThat(post("/v1/runs", "{}").statusCode()).isEqualTo(405);
    assertThat(get("/v1/runs").statusCode()).isEqualTo(200);
    Run run =
        new RunStore(folder, TestRunManager.CLOCK)
            .create(Run.newBuilder().setConfig(config(1)).addCheckpoints("a").build())
            .read();
    Files.createFile(directory(run.getId()).checkpoints().resolve("a"));
    assertThat(get("/v1/runs/" + run.getId() + "/checkpoints/a").statusCode()).isEqualTo(403);
    server.drain(GRACE);

    server = start(null, true);
    assertThat(get("/v1/form").body()).contains("\"actions\":true");
    String id = startRun("{}");
    assertThat(trainer.next().id()).isEqualTo(id);
    String other = "trainer.example:" + server.httpPort();
    assertThat(raw("/v1/runs/" + id + ":stop", other, "Origin: http://evil", "application/json"))
        .contains("403 Forbidden");
    assertThat(
            raw("/v1/runs/" + id + ":stop", other, "Origin: http://" + other, "application/json"))
        .contains("200 OK");
  }

  @Test
  void train_showsItsRun_andOnlyReads() throws Exception {
    RunStore store = new RunStore(folder, TestRunManager.CLOCK);
    store.create(Run.newBuilder().setConfig(config(1)).build());
    RunRecords records = new RunRecords(TestRunManager.CLOCK);
    InetSocketAddress any = new InetSocketAddress(0);
    try (RunDashboard dashboard =
        RunDashboard.start(any, AccessConfig.OPEN, null, new PrometheusRegistry(), records)) {
      assertThat(get(dashboard.port(), "/v1/runs").body()).contains("\"runs\":[]");
      RunDirectory own = store.create(Run.newBuilder().setConfig(config(2)).build());
      try (RunRecords.Hold hold = records.lock(own).orElseThrow()) {
        dashboard.show(hold.record());
        dashboard.setReady();
        assertThat(runIds(struct(get(dashboard.port(), "/v1/runs")))).containsExactly(own.id());
        assertThat(get(dashboard.port(), "/").body()).contains("Training runs");
        assertThat(get(dashboard.port(), "/v1/form").body()).contains("\"actions\":false");
        hold.record().event(step(50));
      }
    }
  }

  @Test
  void train_withTokens_isReadByThoseWhoHaveOne() throws Exception {
    byte[] token = "secret".getBytes(StandardCharsets.UTF_8);
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(token);
    Path tokens =
        Files.writeString(
            folder.resolve("tokens"), "reader read sha256:" + HexFormat.of().formatHex(hash));
    InetAddress loopback = InetAddress.getLoopbackAddress();
    try (RunDashboard dashboard =
        RunDashboard.start(
            new InetSocketAddress(loopback, 0),
            new AccessConfig(loopback, null, tokens, false, 0),
            null,
            new PrometheusRegistry(),
            new RunRecords(TestRunManager.CLOCK))) {
      assertThat(get(dashboard.port(), "/v1/runs").statusCode()).isEqualTo(401);
      URI uri = URI.create("http://localhost:%d/v1/runs".formatted(dashboard.port()));
      HttpRequest request =
          HttpRequest.newBuilder(uri).header("Authorization", "Bearer secret").build();
      assertThat(client.send(request, BodyHandlers.ofString()).body()).contains("\"runs\":[]");
    }
  }

  private TrainerServer start(@Nullable InetAddress address, boolean actions) throws IOException {
    return TrainerServer.start(
        new TrainerServer.Config(
            folder,
            folder,
            "cpu",
            10,
            0,
            0,
            null,
            GrpcLimits.DEFAULT,
            address,
            actions,
            RunLimits.DEFAULT,
            AccessConfig.OPEN),
        trainer,
        new CheckpointPublisher(target, () -> {}),
        new PrometheusRegistry(),
        failed -> {});
  }

  private void drain() {
    try {
      server.drain(GRACE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private String startRun(String config) throws Exception {
    HttpResponse<String> started = post("/v1/runs", "{\"config\":" + config + "}");
    assertThat(started.statusCode()).as(started.body()).isEqualTo(200);
    return struct(started).getFieldsOrThrow("id").getStringValue();
  }

  private void awaitEnd(String id) throws Exception {
    assertThat(events(id, -1)).contains("event: end");
  }

  /** All events after one, of a run that ends. */
  private String events(String id, int after) throws Exception {
    HttpRequest.Builder request = request("/v1/runs/" + id + "/events");
    if (after >= 0) {
      request.header("Last-Event-ID", Integer.toString(after));
    }
    return client.send(request.build(), BodyHandlers.ofString()).body();
  }

  private BufferedReader open(String id) throws Exception {
    return new BufferedReader(
        new InputStreamReader(
            client
                .send(request("/v1/runs/" + id + "/events").build(), BodyHandlers.ofInputStream())
                .body(),
            StandardCharsets.UTF_8));
  }

  private Socket socket(String id) throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.httpPort());
    socket
        .getOutputStream()
        .write(
            "GET /v1/runs/%s/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
                .formatted(id)
                .getBytes(StandardCharsets.US_ASCII));
    return socket;
  }

  private static BufferedReader reader(Socket socket) throws IOException {
    return new BufferedReader(
        new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8), 1);
  }

  /** The data of the next events. */
  private static List<String> next(BufferedReader reader, int count) throws IOException {
    List<String> data = new ArrayList<>();
    while (data.size() < count) {
      String line = reader.readLine();
      assertThat(line).as("the stream goes on after %s", data).isNotNull();
      if (line.startsWith("data:")) {
        data.add(line);
      }
    }
    return data;
  }

  private static RunEvent.Builder step(long step) {
    RunEvent.Builder event = RunEvent.newBuilder();
    event.getStepBuilder().setEpoch(1).setStep(step);
    return event;
  }

  private RunDirectory directory(String id) {
    return new RunStore(folder, TestRunManager.CLOCK).find(id).orElseThrow();
  }

  private HttpRequest.Builder request(String path) {
    return request(server.httpPort(), path);
  }

  private static HttpRequest.Builder request(int port, String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path));
  }

  private HttpResponse<String> get(String path) throws Exception {
    return get(server.httpPort(), path);
  }

  private HttpResponse<String> get(int port, String path) throws Exception {
    return client.send(request(port, path).build(), BodyHandlers.ofString());
  }

  private HttpResponse<byte[]> bytes(String path) throws Exception {
    return client.send(request(path).build(), BodyHandlers.ofByteArray());
  }

  private HttpResponse<String> post(String path, String body) throws Exception {
    return client.send(
        request(path)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  /** The status line of an action, with headers that the JDK's client does not send. */
  private String raw(String path, String host, String header, String type) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.httpPort())) {
      socket
          .getOutputStream()
          .write(
              "POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: %s\r\nContent-Length: 2\r\n\r\n{}"
                  .formatted(path, host, header, type)
                  .getBytes(StandardCharsets.US_ASCII));
      return String.valueOf(reader(socket).readLine());
    }
  }

  private static String json(HttpResponse<String> response) {
    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(response.headers().firstValue("Content-Type")).contains("application/json");
    return response.body().strip();
  }

  private static Struct struct(HttpResponse<String> response) throws IOException {
    Struct.Builder parsed = Struct.newBuilder();
    JsonFormat.parser().merge(response.body(), parsed);
    return parsed.build();
  }

  private static Stream<Value> list(Struct of, String name) {
    return of
        .getFieldsOrDefault(name, Value.getDefaultInstance())
        .getListValue()
        .getValuesList()
        .stream();
  }

  private static List<String> runIds(Struct page) {
    return list(page, "runs")
        .map(run -> run.getStructValue().getFieldsOrThrow("id").getStringValue())
        .toList();
  }

  private static List<String> fields(HttpResponse<String> refused) throws IOException {
    return list(struct(refused), "details")
        .flatMap(detail -> list(detail.getStructValue(), "fieldViolations"))
        .map(violation -> violation.getStructValue().getFieldsOrThrow("field").getStringValue())
        .toList();
  }
}
