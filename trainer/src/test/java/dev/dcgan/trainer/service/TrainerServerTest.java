package dev.dcgan.trainer.service;

import static dev.dcgan.trainer.service.TestRunManager.config;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.dcgan.server.ServerTls;
import dev.dcgan.server.Settings;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.cli.client.PublishCommand;
import dev.dcgan.trainer.cli.client.ResumeCommand;
import dev.dcgan.trainer.cli.client.RunsCommand;
import dev.dcgan.trainer.cli.client.StartCommand;
import dev.dcgan.trainer.cli.client.StopCommand;
import dev.dcgan.trainer.cli.client.WatchCommand;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.service.FakeTrainer.Session;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc.TrainerServiceBlockingStub;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine.Command;

/** The service's parts together, and the command line's clients of it. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TrainerServerTest {

  private static final Duration GRACE = Duration.ofSeconds(30);
  private static final int MAX_QUEUED = 10;

  @TempDir private Path folder;

  private final FakeTrainer trainer = new FakeTrainer();
  private final CompletableFuture<String> failed = new CompletableFuture<>();
  private TrainerServer server;
  private ManagedChannel channel;
  private TrainerServiceBlockingStub stub;

  @BeforeEach
  void serve() throws IOException {
    server = start(0, 0);
    channel = Grpc.newChannelBuilder(target(), InsecureChannelCredentials.create()).build();
    stub = TrainerServiceGrpc.newBlockingStub(channel);
  }

  @AfterEach
  void end() throws InterruptedException {
    channel.shutdownNow();
    server.drain(GRACE);
  }

  @Test
  void itIsAlive_ready_andShowsItsRunsToPrometheus() throws Exception {
    begin();
    trainer.next();

    assertThat(health("")).isEqualTo(ServingStatus.SERVING);
    assertThat(health("dcgan.v1.TrainerService")).isEqualTo(ServingStatus.SERVING);
    assertThat(metrics()).contains("trainer_runs{state=\"running\"} 1.0");
    assertThat(page("/healthz")).isEqualTo("alive\n");
    assertThat(page("/readyz")).isEqualTo("ready\n");
  }

  @Test
  void drain_interruptsTheRun_andTheNextProcessResumesIt() throws Exception {
    Run run = begin();
    trainer.next();
    Iterator<RunEvent> events =
        stub.watchRun(WatchRunRequest.newBuilder().setRunId(run.getId()).build());
    assertThat(events.next().hasStateChanged()).isTrue();

    server.drain(GRACE);

    assertThat(new RunStore(folder, TestRunManager.CLOCK).find(run.getId()).orElseThrow().read())
        .returns(RunState.RUN_STATE_RUNNING, Run::getState);
    channel.shutdownNow();
    serve();
    Session again = trainer.next();
    assertThat(again.id()).isEqualTo(run.getId());
    again.succeed();
  }

  @Test
  void aLostDevice_isReported_andTheNextStartContinuesAllRuns() throws Exception {
    Run run = begin();
    Session session = trainer.next();
    Run waiting = begin();

    session.loseDevice();

    assertThat(failed.get(30, TimeUnit.SECONDS)).contains(run.getId(), "lost");
    assertThatExceptionOfType(StatusRuntimeException.class)
        .isThrownBy(this::begin)
        .satisfies(e -> assertThat(e.getStatus().getCode()).isEqualTo(Code.UNAVAILABLE));
    server.drain(GRACE);
    channel.shutdownNow();
    serve();
    for (Run next : List.of(run, waiting)) {
      Session again = trainer.next();
      assertThat(again.id()).isEqualTo(next.getId());
      again.succeed();
    }
  }

  @Test
  void aPortInUse_isReportedBeforeARunStarts() throws Exception {
    begin();
    trainer.next().succeed();
    new RunStore(folder, TestRunManager.CLOCK)
        .create(Run.newBuilder().setConfig(config(1)).setByService(true).build());

    assertThatIOException()
        .isThrownBy(() -> start(server.port(), 0))
        .withMessageContaining("choose another with --port");
    assertThatIOException()
        .isThrownBy(() -> start(0, server.httpPort()))
        .withMessageContaining("choose another with --http-port");
    assertThat(trainer.isIdle()).isTrue();
  }

  @Test
  void commandStart_startsARunWithItsOptions_andPrintsItsId() throws Exception {
    Files.createDirectory(folder.resolve("faces"));

    Ended started =
        command(
            "start",
            "--target=" + target(),
            "--preset=paper64",
            "--data=faces",
            "--epochs=3",
            "--publish=every",
            "2",
            "--model=portraits");

    assertThat(started.exitCode()).isZero();
    Session session = trainer.next();
    assertThat(started.output()).isEqualTo(session.id() + "\n");
    assertThat(session.config.config())
        .returns(folder.resolve("faces").toRealPath().toString(), RunConfig::getData)
        .returns("paper64", RunConfig::getPreset)
        .returns(3, RunConfig::getEpochs)
        .returns("every 2", RunConfig::getPublish)
        .returns("portraits", RunConfig::getModel)
        .returns("cpu", RunConfig::getDevice);
    session.succeed();
  }

  @Test
  void commandStart_ofWhatIsWrong_namesEachOption() {
    assertThat(command("start", "--target=" + target(), "--data=../up", "--features=absent"))
        .returns(1, Ended::exitCode)
        .extracting(Ended::errors)
        .asString()
        .startsWith("error: " + target())
        .contains("--data '../up': expected ", "--features 'absent': no such file");
    assertThat(command("start", "--target=" + target(), "--data=faces", "--images=5"))
        .returns(2, Ended::exitCode)
        .extracting(Ended::errors)
        .asString()
        .startsWith("error: --images beside --data: ");
    assertThat(command("start", "--target=" + target(), "--epochs=0", "--model=Digits"))
        .returns(2, Ended::exitCode)
        .extracting(Ended::errors)
        .asString()
        .contains("error: --epochs 0: expected ", "error: --model 'Digits': expected ");
    assertThat(trainer.isIdle()).isTrue();
  }

  @Test
  void commandStart_whenTooManyWait_isAFailure() throws Exception {
    begin();
    trainer.next();
    for (int i = 0; i < MAX_QUEUED; i++) {
      begin();
    }

    assertThat(command("start", "--target=" + target()))
        .returns(1, Ended::exitCode)
        .extracting(Ended::errors)
        .asString()
        .startsWith("error: " + target())
        .contains("RESOURCE_EXHAUSTED", "at most 10");
  }

  @Test
  void commandRuns_showsATable() throws Exception {
    assertThat(command("runs", "--target=" + target()).output()).isEqualTo("no runs yet\n");
    Run first = begin();
    trainer.next();
    Run second = begin();

    for (String from : new String[] {"--target=" + target(), "--runs=" + folder}) {
      Ended runs = command("runs", from);
      assertThat(runs.exitCode()).isZero();
      assertThat(runs.output().lines().map(line -> line.replaceFirst(" .*", "")))
          .containsExactly("RUN", second.getId(), first.getId());
    }
    assertThat(command("runs", "--target=" + target(), "--limit=1").output().lines()).hasSize(2);
  }

  @Test
  void watchCommand_showsTheRun_andExitsWithItsOutcome() throws Exception {
    Run run = begin();
    Session session = trainer.next();
    CompletableFuture<Ended> watching =
        CompletableFuture.supplyAsync(() -> command("watch", run.getId(), "--target=" + target()));
    RunEvent.Builder epoch = RunEvent.newBuilder();
    epoch.getEpochCompletedBuilder().getMetricsBuilder().setEpoch(1).setStep(9);
    session.event(epoch);
    session.fail("the disk is full");

    Ended watched = watching.get();

    assertThat(watched.exitCode()).isEqualTo(1);
    assertThat(watched.output().lines().map(line -> line.replaceFirst("^\\S+ \\S+  ", "")))
        .satisfiesExactly(
            line -> assertThat(line).isEqualTo("RUNNING"),
            line -> assertThat(line).startsWith("epoch 1/2: loss D "),
            line -> assertThat(line).isEqualTo("FAILED: the disk is full"));

    Run next = begin();
    trainer.next().succeed();
    assertThat(command("watch", next.getId(), "--target=" + target()))
        .returns(0, Ended::exitCode)
        .extracting(Ended::output)
        .asString()
        .contains("SUCCEEDED");
  }

  /** As after the last attempt on a full disk. */
  @Test
  void watchCommand_whenTheLastEventIsMissing_exitsWithTheOutcome() throws Exception {
    Run run = begin();
    trainer.next().fail("a full disk");
    begin();
    trainer.next(); // By now the first is left.
    Path events = folder.resolve(run.getId()).resolve("metrics.jsonl");
    Files.writeString(events, Files.readAllLines(events).get(0) + "\n");

    Ended watched = command("watch", run.getId(), "--target=" + target());

    assertThat(watched.output()).contains("RUNNING").doesNotContain("FAILED");
    assertThat(watched.exitCode()).isEqualTo(1);
  }

  @Test
  void watchCommand_writesTheSampleGrids() throws Exception {
    Run run = begin();
    Session session = trainer.next();
    for (int epoch : new int[] {0, 1}) {
      Path file = session.record.folder().samples(epoch);
      Files.write(file, new byte[] {(byte) epoch});
      RunEvent.Builder saved = RunEvent.newBuilder();
      saved.getSamplesSavedBuilder().setEpoch(epoch).setName(String.valueOf(file.getFileName()));
      session.event(saved);
    }
    session.succeed();
    Path images = folder.resolve("grids/new");

    Ended watched = command("watch", run.getId(), "--target=" + target(), "--images=" + images);

    assertThat(watched).returns(0, Ended::exitCode).returns("", Ended::errors);
    assertThat(images.resolve("epoch-000.png")).hasBinaryContent(new byte[] {0});
    assertThat(images.resolve("epoch-001.png")).hasBinaryContent(new byte[] {1});
  }

  @Test
  void commandWatch_ofNoRun_isAFailure() {
    assertThat(command("watch", "absent", "--target=" + target()).exitCode()).isEqualTo(1);
    assertThat(command("watch", "../up", "--target=" + target()).exitCode()).isEqualTo(2);
    assertThat(command("watch").exitCode()).isEqualTo(2);
  }

  @Test
  void overTls_commandsNeedToTrustItsCertificate() throws Exception {
    assumeTrue(Files.exists(Path.of("/usr/bin/openssl")), "openssl is absent");
    String command =
        "/usr/bin/openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost"
            + " -addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out tls.crt";
    Process made =
        new ProcessBuilder(command.split(" "))
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .start();
    String output = new String(made.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(made.waitFor()).as(output).isZero();
    server.drain(GRACE);
    Path cert = folder.resolve("tls.crt");
    server = start(0, 0, new ServerTls(cert, folder.resolve("tls.key"), null, GRACE, GRACE));

    assertThat(command("runs", "--target=" + target(), "--tls-ca=" + cert))
        .isEqualTo(new Ended(0, "no runs yet\n", ""));
    assertThat(command("runs", "--target=" + target()).exitCode()).isEqualTo(1);
    assertThat(command("runs", "--target=" + target(), "--tls").exitCode()).isEqualTo(1);
    assertThat(command("watch", "absent", "--target=" + target(), "--tls-ca=" + cert).exitCode())
        .isEqualTo(1);
    assertThat(command("watch", "absent", "--target=" + target(), "--tls-ca=absent").exitCode())
        .isEqualTo(2);
  }

  @Test
  void stopResumeAndPublish_areCommands() throws Exception {
    Run run = begin();
    String target = "--target=" + target();
    trainer.next();
    CheckpointFile.write(
        folder.resolve(run.getId()).resolve("checkpoints/step-00000010.safetensors"),
        TestRunManager.checkpoint(1));

    assertThat(command("resume", run.getId(), target))
        .returns(1, Ended::exitCode)
        .satisfies(ended -> assertThat(ended.errors().lines()).hasSize(1));
    Ended published = command("publish", run.getId(), target, "--model=other");
    assertThat(published.exitCode()).as(published.errors()).isZero();
    assertThat(published.output()).startsWith("other/");
    assertThat(command("stop", run.getId(), target))
        .returns(0, Ended::exitCode)
        .satisfies(ended -> assertThat(ended.output()).startsWith(run.getId() + " STOP"));
    assertThat(command("watch", run.getId(), target).exitCode()).isZero();
    Ended resumed = command("resume", run.getId(), target, "--epochs=7");
    assertThat(resumed.exitCode()).as(resumed.errors()).isZero();
    assertThat(trainer.next())
        .returns(resumed.output().strip(), Session::id)
        .satisfies(session -> assertThat(session.config.config().getEpochs()).isEqualTo(7));
    assertThat(command("stop", "absent", target).exitCode()).isEqualTo(1);
    assertThat(command("stop", "../x", target).exitCode()).isEqualTo(2);
    assertThat(command("resume", run.getId(), target, "--epochs=0").exitCode()).isEqualTo(2);
  }

  private TrainerServer start(int port, int httpPort) throws IOException {
    return start(port, httpPort, null);
  }

  private TrainerServer start(int port, int httpPort, @Nullable ServerTls tls) throws IOException {
    return TrainerServer.start(
        new TrainerServer.Config(folder, folder, "cpu", MAX_QUEUED, port, httpPort, tls),
        trainer,
        new CheckpointPublisher(new FakePublishTarget(), () -> {}),
        new PrometheusRegistry(),
        failed::complete);
  }

  private String target() {
    return "127.0.0.1:" + server.port();
  }

  private Run begin() {
    return stub.startRun(StartRunRequest.newBuilder().setConfig(config(2)).build());
  }

  private ServingStatus health(String service) {
    return HealthGrpc.newBlockingStub(channel)
        .check(HealthCheckRequest.newBuilder().setService(service).build())
        .getStatus();
  }

  private String metrics() throws Exception {
    return page("/metrics");
  }

  private String page(String path) throws Exception {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(
                    URI.create("http://127.0.0.1:%d%s".formatted(server.httpPort(), path)))
                .build(),
            HttpResponse.BodyHandlers.ofString())
        .body();
  }

  @Command(
      name = "trainer",
      subcommands = {
        StartCommand.class,
        RunsCommand.class,
        WatchCommand.class,
        StopCommand.class,
        ResumeCommand.class,
        PublishCommand.class
      })
  private static final class Clients {}

  private record Ended(int exitCode, String output, String errors) {}

  /** Runs the command line in this process; what it says is what it prints, not what it logs. */
  private static synchronized Ended command(String... args) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream output = new ByteArrayOutputStream();
    ByteArrayOutputStream errors = new ByteArrayOutputStream();
    System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
    try {
      int exitCode = Settings.run(new Clients(), args);
      return new Ended(
          exitCode,
          output.toString(StandardCharsets.UTF_8),
          errors
              .toString(StandardCharsets.UTF_8)
              .lines()
              .filter(line -> line.startsWith("error: "))
              .collect(Collectors.joining("\n")));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }
}
