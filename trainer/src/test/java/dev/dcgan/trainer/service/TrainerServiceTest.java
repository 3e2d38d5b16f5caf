package dev.dcgan.trainer.service;

import static dev.dcgan.trainer.service.TestRunManager.config;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import dev.dcgan.server.Errors;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.ReadTime;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.service.FakeTrainer.Session;
import dev.dcgan.trainer.session.TrainingInputs;
import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.ListRunsRequest;
import dev.dcgan.v1.ListRunsResponse;
import dev.dcgan.v1.PublishModelRequest;
import dev.dcgan.v1.ResumeRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.StopRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.TrainerServiceGrpc.TrainerServiceBlockingStub;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import javax.imageio.ImageIO;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** Requests over a socket, with a trainer that the test holds back. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TrainerServiceTest {

  @TempDir private Path folder;

  private final AtomicLong now = new AtomicLong();
  private final ResponseBudget budget = new ResponseBudget(now::get);
  private TestRunManager runs;
  private FakeTrainer trainer;
  private RunCalls calls;
  private TrainerService service;
  private PrometheusRegistry registry;
  private GrpcServer server;
  private ManagedChannel channel;
  private TrainerServiceBlockingStub stub;

  @BeforeEach
  void serve() throws IOException {
    Path data = Files.createDirectories(folder.resolve("data"));
    Files.createDirectories(data.resolve("faces"));
    if (!Files.exists(data.resolve("outside"))) {
      Files.createSymbolicLink(data.resolve("outside"), folder);
    }
    runs = TestRunManager.start(folder.resolve("runs"), data);
    trainer = runs.trainer;
    calls = new RunCalls(runs.runs, runs.runs, budget);
    service = new TrainerService(calls);
    registry = new PrometheusRegistry();
    server = GrpcServer.start(0, service, registry);
    channel =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    stub = TrainerServiceGrpc.newBlockingStub(channel);
  }

  @AfterEach
  void end() throws InterruptedException {
    channel.shutdownNow();
    runs.close();
    calls.endWatches();
    server.drain(Duration.ZERO, Duration.ofSeconds(10));
    calls.close();
  }

  @Test
  void aRun_fromItsStartToItsEnd() throws Exception {
    Run run = start("request", config(3));
    assertThat(run.getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    assertThat(run.getConfig().getEpochs()).isEqualTo(3);
    assertThat(start("request", config(3)).getId()).isEqualTo(run.getId());

    Session session = trainer.next();
    assertThat(get(run).getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    session.succeed();
    runs.awaitEnd(run.getId());

    assertThat(get(run)).returns(RunState.RUN_STATE_SUCCEEDED, Run::getState);
    assertThat(stop(run).getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void startRun_withoutAPreset_followsItsImages() throws Exception {
    BufferedImage color = new BufferedImage(40, 40, BufferedImage.TYPE_INT_RGB);
    ImageIO.write(color, "png", folder.resolve("data/faces/1.png").toFile());
    RunConfig faces = RunConfig.newBuilder().setData("faces").build();

    Run run = start("request", faces);

    assertThat(run.getConfig())
        .returns("photo64", RunConfig::getPreset)
        .returns(20_000, RunConfig::getEpochs)
        .returns(32, RunConfig::getSize)
        .returns(3, RunConfig::getChannels)
        .returns("photo64", RunConfig::getModel);
    assertThat(run.getRequestedConfig()).isEqualTo(faces);
    assertThat(start("request", faces).getId()).isEqualTo(run.getId());
  }

  @Test
  void stopped_resumed_andPublished() throws Exception {
    Run run = start("", config(3));
    trainer.next();
    CheckpointFile.write(
        runs.folder(run).checkpoints().resolve("step-00000020.safetensors"),
        TestRunManager.checkpoint(2));
    stop(run);
    assertThat(runs.awaitEnd(run.getId()).getState()).isEqualTo(RunState.RUN_STATE_STOPPED);

    Run resumed =
        stub.resumeRun(ResumeRunRequest.newBuilder().setRunId(run.getId()).setEpochs(9).build());
    assertThat(resumed)
        .returns(run.getId(), Run::getResumedFrom)
        .returns(9, found -> found.getConfig().getEpochs());

    assertThat(
            stub.publishModel(
                    PublishModelRequest.newBuilder()
                        .setRunId(resumed.getId())
                        .setModel("faces")
                        .build())
                .getModel())
        .returns("faces", model -> model.getName())
        .returns(1L, model -> model.getVersion());
    assertThat(get(resumed).getPublishedCount()).isEqualTo(1);
  }

  @Test
  void invalidConfig_isRefused_withEveryViolation() throws Exception {
    StatusRuntimeException refused =
        refusal(
            () ->
                start(
                    "r".repeat(200),
                    RunConfig.newBuilder()
                        .setPreset("mnist28-slow")
                        .setData("outside/runs")
                        .setFeatures("/etc/passwd")
                        .setEpochs(0)
                        .setBatchSize(-1)
                        .setLearningRate(Float.NaN)
                        .setDevice("tpu".repeat(100_000))
                        .setModel("Digits")
                        .build()));

    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(refused.getStatus().getDescription()).startsWith("9 fields are wrong; the first, ");
    assertThat(detail(refused, BadRequest.class).getFieldViolationsList())
        .extracting(BadRequest.FieldViolation::getField)
        .containsExactlyInAnyOrder(
            "request_id",
            "config.preset",
            "config.data",
            "config.features",
            "config.epochs",
            "config.batch_size",
            "config.learning_rate",
            "config.device",
            "config.model");
    assertThat(stub.listRuns(ListRunsRequest.getDefaultInstance()).getRunsList()).isEmpty();
  }

  @Test
  void emptyData_isInvalid() throws Exception {
    for (String empty : List.of("", " ")) {
      assertInvalid("config.data", () -> start("", config(1).toBuilder().setData(empty).build()));
    }
    assertThat(list(0, "").getRunsList()).isEmpty();
  }

  @Test
  void dataBelowTheRoot_isFound() {
    Run run = start("", config(1).toBuilder().setData("faces").build());

    assertThat(run.getConfig().getData()).endsWith("/data/faces").startsWith("/");
    assertThat(run.getRequestedConfig().getData()).isEqualTo("faces");
  }

  @Test
  void errors_haveTheirCodes() throws Exception {
    Run run = start("request", config(1));
    trainer.next();

    assertCode(Status.Code.NOT_FOUND, () -> get("absent"));
    assertCode(Status.Code.NOT_FOUND, () -> watch("absent", 0).next());
    assertCode(Status.Code.ALREADY_EXISTS, () -> start("request", config(2)));
    assertCode(
        Status.Code.FAILED_PRECONDITION,
        () -> stub.resumeRun(ResumeRunRequest.newBuilder().setRunId(run.getId()).build()));
    assertCode(
        Status.Code.NOT_FOUND,
        () -> stub.publishModel(PublishModelRequest.newBuilder().setRunId("absent").build()));
    for (int i = 0; i < TestRunManager.MAX_QUEUED; i++) {
      start("", config(1));
    }
    StatusRuntimeException full = refusal(() -> start("", config(1)));
    assertThat(full.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(detail(full, RetryInfo.class).getRetryDelay().getSeconds()).isPositive();
    assertInvalid("page_size", () -> list(1001, ""));
    assertInvalid("page_token", () -> list(1, "../"));
    assertInvalid("from_index", () -> watch(run.getId(), -1).next());
  }

  @Test
  void fault_isInternal_withoutDetail() throws Exception {
    Run run = start("", config(1));
    trainer.next().succeed();
    runs.awaitEnd(run.getId());
    start("", config(1));
    trainer.next();
    Files.writeString(runs.folder(run).path().resolve("run.json"), "{");

    StatusRuntimeException failed = refusal(() -> get(run));

    assertThat(failed.getStatus().getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(failed.getStatus().getDescription()).doesNotContain(folder.toString());
  }

  @Test
  void ioError_isUnavailable_orAFullDisk_withoutPaths() throws Exception {
    Run run = start("", config(3));
    trainer.next();
    CheckpointFile.write(
        runs.folder(run).checkpoints().resolve("step-00000020.safetensors"),
        TestRunManager.checkpoint(2));
    ThrowingCallable publish =
        () -> stub.publishModel(PublishModelRequest.newBuilder().setRunId(run.getId()).build());

    runs.target.failure =
        new FileSystemException(folder.resolve("a").toString(), null, "No space left on device");
    StatusRuntimeException full = refusal(publish);
    runs.target.failure =
        new IOException(
            "cannot write " + folder, new FileSystemException("", null, "Read-only file system"));
    StatusRuntimeException readOnly = refusal(publish);

    assertThat(full.getStatus().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    assertThat(detail(full, RetryInfo.class).getRetryDelay().getSeconds()).isPositive();
    assertThat(full.getStatus().getDescription())
        .contains("publish", "No space left on device")
        .doesNotContain("/", "\n");
    assertThat(readOnly.getStatus().getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(readOnly.getStatus().getDescription())
        .contains("publish", "Read-only file system")
        .doesNotContain("/", "\n");
  }

  @Test
  void list_comesInPages() {
    List<String> ids = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      ids.add(0, start("", config(1)).getId());
    }

    ListRunsResponse first = list(2, "");
    ListRunsResponse second = list(2, first.getNextPageToken());

    assertThat(first.getRunsList()).extracting(Run::getId).isEqualTo(ids.subList(0, 2));
    assertThat(second.getRunsList()).extracting(Run::getId).isEqualTo(ids.subList(2, 3));
    assertThat(second.getNextPageToken()).isEmpty();
    assertThat(list(0, "").getRunsList()).hasSize(3);
  }

  @Test
  void healthAndCheapCalls_doNotWaitBehindLists() throws Exception {
    Run run = Run.newBuilder().setId("a").build();
    CountDownLatch listing = new CountDownLatch(2);
    CountDownLatch release = new CountDownLatch(1);
    RunCalls slow =
        new RunCalls(
            new RunSource() {
              @Override
              public Page list(int size, String after) throws IOException {
                listing.countDown();
                try {
                  release.await();
                } catch (InterruptedException e) {
                  throw new IOException(e);
                }
                return new Page(List.of(run), "");
              }

              @Override
              public Run get(String id) {
                return run;
              }

              @Override
              public RunRecords.Hold watch(String id) {
                throw new UnsupportedOperationException();
              }

              @Override
              public RunDirectory folder(String id) {
                throw new UnsupportedOperationException();
              }
            });
    GrpcServer other = GrpcServer.start(0, new TrainerService(slow), new PrometheusRegistry());
    ManagedChannel lists =
        Grpc.newChannelBuilder("127.0.0.1:" + other.port(), InsecureChannelCredentials.create())
            .build();
    try {
      BlockingQueue<Object> responses = new LinkedBlockingQueue<>();
      for (int i = 0; i < 40; i++) {
        TrainerServiceGrpc.newStub(lists)
            .listRuns(ListRunsRequest.getDefaultInstance(), new Collector(responses));
      }
      listing.await();

      assertThat(
              HealthGrpc.newBlockingStub(lists)
                  .check(HealthCheckRequest.getDefaultInstance())
                  .getStatus())
          .isEqualTo(ServingStatus.SERVING);
      assertThat(
              TrainerServiceGrpc.newBlockingStub(lists).getRun(GetRunRequest.getDefaultInstance()))
          .isEqualTo(run);
      for (int i = 0; i < 22; i++) { // 2 are served, 16 are queued.
        assertThat(responses.take())
            .isInstanceOfSatisfying(
                StatusRuntimeException.class,
                refused ->
                    assertThat(refused.getStatus().getCode())
                        .isEqualTo(Status.Code.RESOURCE_EXHAUSTED));
      }
      release.countDown();
      for (int i = 0; i < 18; i++) {
        assertThat(responses.take()).isInstanceOf(ListRunsResponse.class);
      }
    } finally {
      release.countDown();
      lists.shutdownNow();
      other.close();
      slow.close();
    }
  }

  /** Collects responses and errors. */
  private record Collector(BlockingQueue<Object> responses)
      implements StreamObserver<ListRunsResponse> {

    @Override
    public void onNext(ListRunsResponse response) {
      responses.add(response);
    }

    @Override
    public void onError(Throwable error) {
      responses.add(error);
    }

    @Override
    public void onCompleted() {}
  }

  @Test
  void startRun_beyondTheLimits_namesEachField() throws Exception {
    StatusRuntimeException refused =
        refusal(
            () ->
                start("", config(100_000).toBuilder().setWidth(512).setBatchSize(65_536).build()));

    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(detail(refused, BadRequest.class).getFieldViolationsList())
        .extracting(BadRequest.FieldViolation::getField)
        .containsExactly("config.epochs", "config.width", "config.batch_size");
  }

  @Test
  void aRun_hasTheAddressOfItsCaller() {
    assertThat(start("", config(1)).getCaller()).isEqualTo("127.0.0.1");
  }

  @Test
  void watch_replays_thenFollows_andEndsWithTheRun() throws Exception {
    Run run = start("", config(1));
    Session session = trainer.next();
    Iterator<RunEvent> events = watch(run.getId(), 0);
    RunEvent begun = events.next();
    assertThat(begun.getStateChanged().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(begun.hasTime()).isTrue();

    session.event(step(1));
    RunEvent step = events.next();
    assertThat(step.getStep().getStep()).isEqualTo(1);
    assertThat(step.getIndex()).isEqualTo(1);
    Iterator<RunEvent> later = watch(run.getId(), 1);
    session.event(step(2));
    session.succeed();

    assertThat(steps(later)).containsExactly(1L, 2L);
    assertThat(steps(events)).containsExactly(2L);
  }

  @Test
  void watch_ofARunOfAnEarlierLife_replaysAndEnds() throws Exception {
    Run run = start("", config(1));
    Session session = trainer.next();
    for (int i = 1; i <= 150; i++) {
      session.event(step(i));
    }
    session.succeed();
    runs.awaitEnd(run.getId());
    end();
    serve();

    assertThat(steps(watch(run.getId(), 0))).hasSize(150).first().isEqualTo(1L);
    assertThat(steps(watch(run.getId(), 150))).containsExactly(150L);
  }

  @Test
  void watch_byOneWhoDoesNotRead_delaysNobody_andMissesNothing() throws Exception {
    int steps = 20_000; // More than what fits into the buffers of a connection.
    Run run = start("", config(1));
    Session session = trainer.next();
    SlowWatcher slow = new SlowWatcher(run.getId());
    Iterator<RunEvent> quick = watch(run.getId(), 0);

    for (int i = 1; i <= steps; i++) {
      session.event(step(i));
    }
    session.succeed();
    Run next = start("", config(1));
    assertThat(trainer.next().id()).isEqualTo(next.getId());
    assertThat(steps(quick)).hasSize(steps);
    assertThat(slow.events).isEmpty();

    slow.call.request(steps + 2);
    assertThat(slow.ended.take().isOk()).isTrue();
    assertThat(slow.events).hasSize(steps + 2);
    assertThat(slow.events).extracting(RunEvent::getIndex).isSorted().doesNotHaveDuplicates();
  }

  @Test
  void watch_byOneWhoNeverReads_ends() throws Exception {
    Run run = start("", config(1));
    Session session = trainer.next();
    SlowWatcher slow = new SlowWatcher(run.getId());
    Iterator<RunEvent> waiting = watch(run.getId(), 1_000_000); // It has nothing to read.
    String kilobyte = "x".repeat(1000);
    for (int i = 1; i <= 5000; i++) { // More than the MiB that its connection receives unread.
      RunEvent.Builder event = RunEvent.newBuilder();
      event.getWarningBuilder().setStep(i).setKind("test").setMessage(kilobyte);
      session.event(event);
    }

    awaitReset(registry);

    slow.call.request(50_000); // Else the client does not see how it ended.
    assertThat(slow.ended.take().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    session.succeed();
    assertThat(waiting.hasNext()).as("an event that was not waited for").isFalse();
    assertThat(runs.awaitEnd(run.getId()).getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void startRun_looksAtTheImages_onlyOfARunThatHasRoom() throws Exception {
    BufferedImage color = new BufferedImage(40, 40, BufferedImage.TYPE_INT_RGB);
    ImageIO.write(color, "png", folder.resolve("data/faces/1.png").toFile());
    RunConfig faces = RunConfig.newBuilder().setData("faces").build();
    Logger logger = (Logger) LoggerFactory.getLogger(TrainingInputs.class);
    ListAppender<ILoggingEvent> looks = new ListAppender<>();
    looks.start();
    logger.addAppender(looks);
    try {
      Run run = start("request", faces);
      trainer.next();
      assertThat(looks.list).hasSize(1);
      for (int i = 0; i < TestRunManager.MAX_QUEUED; i++) {
        start("", config(1));
      }

      assertThat(start("request", faces).getId()).isEqualTo(run.getId());
      assertCode(Status.Code.RESOURCE_EXHAUSTED, () -> start("other", faces));
      assertThat(looks.list).hasSize(1);
    } finally {
      logger.detachAppender(looks);
    }
  }

  @Test
  void cheapCalls_doNotWaitUntilARunToWatchIsOpen() throws Exception {
    Run run = Run.newBuilder().setId("a").build();
    CountDownLatch open = new CountDownLatch(1);
    RunCalls other = new RunCalls(new SingleRunSource(run, open));
    GrpcServer server = GrpcServer.start(0, new TrainerService(other), new PrometheusRegistry());
    ManagedChannel to =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    try {
      List<Iterator<RunEvent>> watchers = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        watchers.add(
            TrainerServiceGrpc.newBlockingStub(to).watchRun(WatchRunRequest.getDefaultInstance()));
      }
      assertThat(TrainerServiceGrpc.newBlockingStub(to).getRun(GetRunRequest.getDefaultInstance()))
          .isEqualTo(run);
      open.countDown();
      for (Iterator<RunEvent> events : watchers) {
        assertCode(Status.Code.NOT_FOUND, events::hasNext);
      }
    } finally {
      open.countDown();
      to.shutdownNow();
      server.close();
      other.close();
    }
  }

  @Test
  void aRunThatIsNotRead_isReset() throws Exception {
    Run large = Run.newBuilder().setId("a").setReason("x".repeat(3 << 20)).build();
    SingleRunSource source = new SingleRunSource(large, new CountDownLatch(0));
    RunCalls other = new RunCalls(source, null, budget);
    PrometheusRegistry metrics = new PrometheusRegistry();
    GrpcServer server = GrpcServer.start(0, new TrainerService(other), metrics);
    ManagedChannel to =
        Grpc.newChannelBuilder("127.0.0.1:" + server.port(), InsecureChannelCredentials.create())
            .build();
    try {
      BlockingQueue<Status> ended = new LinkedBlockingQueue<>();
      ClientCall<GetRunRequest, Run> unread =
          to.newCall(TrainerServiceGrpc.getGetRunMethod(), CallOptions.DEFAULT);
      unread.start(
          new ClientCall.Listener<>() {
            @Override
            public void onClose(Status status, Metadata trailers) {
              ended.add(status);
            }
          },
          new Metadata());
      unread.sendMessage(GetRunRequest.getDefaultInstance());
      unread.halfClose();
      awaitReset(metrics);

      unread.request(1);
      assertThat(ended.take().getCode()).isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
    } finally {
      to.shutdownNow();
      server.close();
      other.close();
    }
    assertThat(budget.reserved()).isZero();
  }

  /** Lets time pass until a call was reset; how soon its buffers are full, the network knows. */
  private void awaitReset(PrometheusRegistry metrics) throws IOException {
    String reset = "grpc_server_limit_exceeded_total{limit=\"response_time\"} 1.0";
    while (!TestRunManager.metrics(metrics).contains(reset)) {
      now.addAndGet(ReadTime.DEFAULT.of(ResponseBudget.MAX_BYTES).toNanos());
      budget.unread().cancelStalled();
    }
  }

  /** A source that has one run, which can only be read. */
  private record SingleRunSource(Run run, CountDownLatch open) implements RunSource {

    @Override
    public Page list(int size, String after) {
      return new Page(List.of(run), "");
    }

    @Override
    public Run get(String id) {
      return run;
    }

    @Override
    public RunRecords.Hold watch(String id) {
      try {
        open.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      throw Errors.notFound("it was opened");
    }

    @Override
    public RunDirectory folder(String id) {
      throw new UnsupportedOperationException();
    }
  }

  @Test
  void watch_cancelled_leavesTheRunAsItWas() throws Exception {
    Run run = start("", config(1));
    Session session = trainer.next();
    CancellableContext context = Context.current().withCancellation();
    context.run(() -> assertThat(watch(run.getId(), 0).hasNext()).isTrue());

    context.cancel(new CancellationException("enough"));
    session.event(step(1));
    session.succeed();

    assertThat(runs.awaitEnd(run.getId()).getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    assertThat(steps(watch(run.getId(), 0))).containsExactly(1L);
  }

  @Test
  void shutdown_isUnavailable_toWatchers_afterTheLastEvent() throws Exception {
    Run run = start("", config(1));
    Session session = trainer.next();
    Iterator<RunEvent> events = watch(run.getId(), 0);
    events.next();
    session.event(step(1));
    session.event(step(2));
    assertThat(events.next().getStep().getStep()).isEqualTo(1);

    runs.close();
    calls.endWatches();

    assertThat(events.next().getStep().getStep()).isEqualTo(2);
    assertCode(Status.Code.UNAVAILABLE, events::hasNext);
    assertCode(Status.Code.UNAVAILABLE, () -> start("", config(1)));
    assertThat(get(run).getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
  }

  /** Reads nothing until it is told to. */
  private final class SlowWatcher extends ClientCall.Listener<RunEvent> {

    final List<RunEvent> events = new ArrayList<>();
    final BlockingQueue<Status> ended = new LinkedBlockingQueue<>();
    final ClientCall<WatchRunRequest, RunEvent> call =
        channel.newCall(TrainerServiceGrpc.getWatchRunMethod(), CallOptions.DEFAULT);

    SlowWatcher(String id) {
      call.start(this, new Metadata());
      call.sendMessage(WatchRunRequest.newBuilder().setRunId(id).build());
      call.halfClose();
    }

    @Override
    public void onMessage(RunEvent event) {
      events.add(event);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      ended.add(status);
    }
  }

  private static RunEvent.Builder step(long step) {
    RunEvent.Builder event = RunEvent.newBuilder();
    event.getStepBuilder().setStep(step).setEpoch(1).setDiscriminatorLoss(0.7f);
    return event;
  }

  /** Reads to the end. */
  private static List<Long> steps(Iterator<RunEvent> events) {
    List<Long> steps = new ArrayList<>();
    events.forEachRemaining(
        event -> {
          if (event.hasStep()) {
            steps.add(event.getStep().getStep());
          }
        });
    return steps;
  }

  private Run start(String requestId, RunConfig config) {
    return stub.startRun(
        StartRunRequest.newBuilder().setRequestId(requestId).setConfig(config).build());
  }

  private Run get(Run run) {
    return get(run.getId());
  }

  private Run get(String id) {
    return stub.getRun(GetRunRequest.newBuilder().setRunId(id).build());
  }

  private Run stop(Run run) {
    return stub.stopRun(StopRunRequest.newBuilder().setRunId(run.getId()).build());
  }

  private ListRunsResponse list(int size, String token) {
    return stub.listRuns(
        ListRunsRequest.newBuilder().setPageSize(size).setPageToken(token).build());
  }

  private Iterator<RunEvent> watch(String id, long from) {
    return stub.watchRun(WatchRunRequest.newBuilder().setRunId(id).setFromIndex(from).build());
  }

  private static void assertInvalid(String field, ThrowingCallable call)
      throws InvalidProtocolBufferException {
    StatusRuntimeException refused = refusal(call);
    assertThat(refused.getStatus().getCode()).isEqualTo(Status.Code.INVALID_ARGUMENT);
    assertThat(detail(refused, BadRequest.class).getFieldViolations(0).getField()).isEqualTo(field);
  }

  private static void assertCode(Status.Code code, ThrowingCallable call) {
    assertThat(refusal(call).getStatus().getCode()).isEqualTo(code);
  }

  private static StatusRuntimeException refusal(ThrowingCallable call) {
    StatusRuntimeException refused = catchThrowableOfType(StatusRuntimeException.class, call);
    assertThat(refused).as("refused").isNotNull();
    return refused;
  }

  private static <T extends com.google.protobuf.Message> T detail(
      StatusRuntimeException e, Class<T> type) throws InvalidProtocolBufferException {
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    assertThat(status).isNotNull();
    return status.getDetails(0).unpack(type);
  }
}
