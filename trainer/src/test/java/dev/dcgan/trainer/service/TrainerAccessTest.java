package dev.dcgan.trainer.service;

import static dev.dcgan.trainer.service.TestRunManager.config;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.ClientTlsOptions;
import dev.dcgan.server.GrpcLimits;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.ListRunsRequest;
import dev.dcgan.v1.PublishModelRequest;
import dev.dcgan.v1.ResumeRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.StopRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc.TrainerServiceBlockingStub;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** A trainer service with tokens. It starts only if all that it serves has a role. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TrainerAccessTest {

  @TempDir private Path folder;
  private final FakeTrainer trainer = new FakeTrainer();
  private final List<ManagedChannel> channels = new ArrayList<>();
  private TrainerServer server;

  @BeforeEach
  void serve() throws Exception {
    Files.createDirectories(folder.resolve("secret/faces"));
    Path tokens =
        Files.write(
            folder.resolve("tokens"),
            List.of(
                "reader read " + hash("reader"),
                "trainer train " + hash("trainer"),
                "publisher publish " + hash("publisher"),
                "both train,publish " + hash("both")));
    server =
        TrainerServer.start(
            new TrainerServer.Config(
                folder.resolve("runs"),
                folder.resolve("secret"),
                "cpu",
                10,
                0,
                0,
                null,
                GrpcLimits.DEFAULT,
                null,
                false,
                RunLimits.DEFAULT,
                new AccessConfig(InetAddress.getLoopbackAddress(), null, tokens, true, 0)),
            trainer,
            new CheckpointPublisher(new FakePublishTarget(), () -> {}),
            new PrometheusRegistry(),
            failed -> {});
  }

  @AfterEach
  void end() throws InterruptedException {
    channels.forEach(ManagedChannel::shutdownNow);
    server.drain(Duration.ofSeconds(30));
  }

  @Test
  void aMethod_needsItsRole() throws Exception {
    Run run = stub("trainer").startRun(start());
    trainer.next();
    for (String role : List.of("reader", "trainer", "publisher")) {
      boolean trains = role.equals("trainer");
      TrainerServiceBlockingStub stub = stub(role);
      assertThat(stub.listRuns(ListRunsRequest.getDefaultInstance()).getRunsCount()).isOne();
      if (!trains) {
        assertThat(code(() -> stub.startRun(start()))).isEqualTo(Status.Code.PERMISSION_DENIED);
        assertThat(
                code(() -> stub.stopRun(StopRunRequest.newBuilder().setRunId(run.getId()).build())))
            .isEqualTo(Status.Code.PERMISSION_DENIED);
      }
      PublishModelRequest publish = PublishModelRequest.newBuilder().setRunId(run.getId()).build();
      assertThat(code(() -> stub.publishModel(publish)) == Status.Code.PERMISSION_DENIED)
          .isEqualTo(!role.equals("publisher"));
    }
  }

  @Test
  void folders_areSeenOnlyByThoseWhoTrain() throws Exception {
    RunConfig config = start().getConfig().toBuilder().setData("faces").build();
    Run run = stub("trainer").startRun(StartRunRequest.newBuilder().setConfig(config).build());
    trainer.next();
    assertThat(run.getConfig().getData()).isEqualTo(folder.resolve("secret/faces").toString());
    assertThat(get("reader", run.getId()).getConfig().getData()).isEqualTo("faces");
    assertThat(get("trainer", run.getId()).getConfig().getData())
        .isEqualTo(folder.resolve("secret/faces").toString());
    assertThat(stub("publisher").listRuns(ListRunsRequest.getDefaultInstance()).toString())
        .contains("faces")
        .doesNotContain("secret");
  }

  @Test
  void aRunThatPublishes_needsTheRoleForIt() throws Exception {
    StartRunRequest publishes = StartRunRequest.newBuilder().setConfig(config(2)).build();
    StatusRuntimeException refused =
        catchThrowableOfType(
            StatusRuntimeException.class, () -> stub("trainer").startRun(publishes));
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.PERMISSION_DENIED);
    assertThat(refused)
        .hasMessageContaining("trainer has no role publish")
        .hasMessageContaining("never");
    assertThat(post("trainer", "runs", "{\"config\": {\"epochs\": 2}}")).isEqualTo(403);

    Run run = stub("both").startRun(publishes);
    trainer.next().fail("for the test");
    awaitState(run, RunState.RUN_STATE_FAILED);
    ResumeRunRequest resume = ResumeRunRequest.newBuilder().setRunId(run.getId()).build();
    TrainerServiceBlockingStub trains = stub("trainer");
    assertThat(code(() -> trains.resumeRun(resume))).isEqualTo(Status.Code.PERMISSION_DENIED);
    assertThat(post("trainer", "runs/" + run.getId() + ":resume", "{}")).isEqualTo(403);
    assertThat(stub("both").resumeRun(resume).getResumedFrom()).isEqualTo(run.getId());
    trainer.next();
  }

  @Test
  void actionsOverHttp_needTheirRole() throws Exception {
    assertThat(post("reader")).isEqualTo(403);
    assertThat(post("wrong")).isEqualTo(401);
    assertThat(post("trainer")).isEqualTo(200);
    trainer.next();
  }

  @Test
  void runsThatAreStartedOverHttp_haveTheirCaller() throws Exception {
    assertThat(post("trainer")).isEqualTo(200);
    trainer.next();
    assertThat(stub("reader").listRuns(ListRunsRequest.getDefaultInstance()).getRuns(0))
        .returns("trainer", Run::getCaller);
  }

  private void awaitState(Run run, RunState state) throws Exception {
    WatchRunRequest watch = WatchRunRequest.newBuilder().setRunId(run.getId()).build();
    stub("reader").watchRun(watch).forEachRemaining(event -> {});
    assertThat(get("reader", run.getId()).getState()).isEqualTo(state);
  }

  private Run get(String token, String id) throws Exception {
    return stub(token).getRun(GetRunRequest.newBuilder().setRunId(id).build());
  }

  private static StartRunRequest start() {
    RunConfig config = config(2).toBuilder().setPublish("never").build();
    return StartRunRequest.newBuilder().setConfig(config).build();
  }

  private int post(String token) throws Exception {
    return post(token, "runs", "{\"config\": {\"epochs\": 2, \"publish\": \"never\"}}");
  }

  private int post(String token, String path, String body) throws Exception {
    URI uri = URI.create("http://localhost:%d/v1/%s".formatted(server.httpPort(), path));
    HttpRequest request =
        HttpRequest.newBuilder(uri)
            .header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build();
    return HttpClient.newHttpClient().send(request, BodyHandlers.discarding()).statusCode();
  }

  private TrainerServiceBlockingStub stub(String token) throws IOException {
    Path file = Files.writeString(folder.resolve(token + ".token"), token + "\n");
    ClientTlsOptions options = new ClientTlsOptions();
    new CommandLine(options).parseArgs("--token-file", file.toString());
    ManagedChannel channel =
        options.target("localhost:" + server.port()).open(Grpc::newChannelBuilder);
    channels.add(channel);
    return TrainerServiceGrpc.newBlockingStub(channel);
  }

  private static Status.Code code(Runnable call) {
    try {
      call.run();
      return Status.Code.OK;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode();
    }
  }

  private static String hash(String token) throws Exception {
    byte[] hash =
        MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    return "sha256:" + HexFormat.of().formatHex(hash);
  }
}
