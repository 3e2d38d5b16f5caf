package dev.dcgan.trainer.service;

import static dev.dcgan.trainer.service.TestRunManager.config;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.google.protobuf.util.Timestamps;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import dev.dcgan.trainer.config.ConfigViolation;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.service.FakeTrainer.Session;
import dev.dcgan.v1.DeviceFailure;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The service's runs, with a trainer that the test holds back. */
class RunManagerTest {

  @TempDir private Path folder;

  private TestRunManager service;
  private RunManager runs;
  private FakeTrainer trainer;

  @BeforeEach
  void start() throws IOException {
    service = TestRunManager.start(folder, null);
    runs = service.runs;
    trainer = service.trainer;
  }

  @AfterEach
  void end() throws InterruptedException {
    service.close();
  }

  /** Starts the service anew, with these delays between attempts. */
  private void restart(List<Duration> retryDelays) throws Exception {
    service.close();
    service = TestRunManager.start(folder, null, retryDelays);
    runs = service.runs;
    trainer = service.trainer;
  }

  private void restart() throws Exception {
    service.close();
    start();
  }

  @Test
  void runsAreTrained_oneAtATime_inTheirOrder() throws Exception {
    Run a = runs.start("", config(1));
    Run b = runs.start("", config(2));
    Run c = runs.start("", config(3));

    Session first = trainer.next();
    assertThat(first.id()).isEqualTo(a.getId());
    assertThat(first.config.hyperparameters().epochs()).isEqualTo(1);
    assertThat(runs.get(b.getId()).getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    assertThat(trainer.isIdle()).isTrue();
    first.succeed();
    Session second = trainer.next();
    assertThat(second.id()).isEqualTo(b.getId());
    assertThat(runs.get(a.getId()).getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
    second.fail("no luck");
    assertThat(trainer.next().id()).isEqualTo(c.getId());
    assertThat(runs.get(b.getId()))
        .returns(RunState.RUN_STATE_FAILED, Run::getState)
        .returns("no luck", Run::getReason);
  }

  @Test
  void start_returnsTheCompleteConfig_andStoresIt() throws Exception {
    Run run = runs.start("request", config(7));

    assertThat(run.getConfig().getBatchSize()).isEqualTo(128);
    assertThat(run.getRequestedConfig()).isEqualTo(config(7));
    assertThat(run.getByService()).isTrue();
    assertThat(service.folder(run).read())
        .returns(run.getConfig(), Run::getConfig)
        .returns(run.getRequestedConfig(), Run::getRequestedConfig)
        .returns("request", Run::getRequestId);
  }

  @Test
  void start_withoutADevice_takesTheServices() throws Exception {
    Run none = runs.start("", config(1));
    Run other = runs.start("", config(1).toBuilder().setDevice("auto").build());

    assertThat(none.getConfig().getDevice()).isEqualTo("cuda:1");
    assertThat(none.getRequestedConfig().getDevice()).isEmpty();
    assertThat(service.folder(none).read().getConfig().getDevice()).isEqualTo("cuda:1");
    assertThat(other.getConfig().getDevice()).isEqualTo("auto");
  }

  @Test
  void start_withTheSameRequestId_returnsTheSameRun() throws Exception {
    Run run = runs.start("once", config(1));
    assertThat(runs.start("once", config(1)).getId()).isEqualTo(run.getId());
    trainer.next().succeed();
    service.awaitEnd(run.getId());
    assertThat(runs.start("once", config(1)))
        .returns(run.getId(), Run::getId)
        .returns(RunState.RUN_STATE_SUCCEEDED, Run::getState);

    restart();

    assertThat(runs.start("once", config(1)).getId()).isEqualTo(run.getId());
    assertThat(trainer.isIdle()).isTrue();
    assertThat(runs.list(10, "").runs()).hasSize(1);
  }

  @Test
  void start_withoutARequestId_startsARunEachTime() throws Exception {
    assertThat(runs.start("", config(1)).getId()).isNotEqualTo(runs.start("", config(1)).getId());
  }

  @Test
  void start_withARequestIdOfAnotherConfig_isRefused() throws Exception {
    Run run = runs.start("once", config(1));

    RequestException refused = refusal(() -> runs.start("once", config(2)));

    assertThat(refused.why()).isEqualTo(Why.ALREADY_EXISTS);
    assertThat(refused).hasMessageContaining("'once'").hasMessageContaining(run.getId());
    // What the preset gives anyhow is another thing to ask for.
    assertThat(refusal(() -> runs.start("once", config(1).toBuilder().setSeed(1).build())).why())
        .isEqualTo(Why.ALREADY_EXISTS);
  }

  @Test
  void start_ofAnInvalidConfig_namesEveryViolation() {
    InvalidConfigException invalid =
        catchThrowableOfType(
            InvalidConfigException.class,
            () ->
                runs.start(
                    "x".repeat(129),
                    RunConfig.newBuilder()
                        .setData("mnist")
                        .setEpochs(0)
                        .setBatchSize(1)
                        .setPublish("always")
                        .build()));

    assertThat(invalid.violations())
        .extracting(ConfigViolation::field)
        .containsExactlyInAnyOrder(
            "request_id", "config.data", "config.epochs", "config.batch_size", "config.publish");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void start_whenTheQueueIsFull_refusesNewRequestsOnly() throws Exception {
    runs.start("", config(1));
    trainer.next();
    Run waiting = runs.start("waits", config(1));
    for (int i = 1; i < TestRunManager.MAX_QUEUED; i++) {
      runs.start("", config(1));
    }

    RequestException refused = refusal(() -> runs.start("", config(1)));

    assertThat(refused.why()).isEqualTo(Why.FULL);
    assertThat(refused).hasMessageContaining("3 runs are queued");
    assertThat(runs.start("waits", config(1)).getId()).isEqualTo(waiting.getId());
    runs.stop(waiting.getId());
    assertThat(runs.start("", config(1)).getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
  }

  @Test
  void stop_ofAQueuedRun_endsItAtOnce() throws Exception {
    runs.start("", config(1));
    Session first = trainer.next();
    Run second = runs.start("", config(2));
    Run third = runs.start("", config(3));

    Run stopped = runs.stop(second.getId());

    assertThat(stopped.getState()).isEqualTo(RunState.RUN_STATE_STOPPED);
    assertThat(stopped.getReason()).isEqualTo("stopped while it was queued");
    assertThat(stopped.hasEnded()).isTrue();
    assertThat(service.folder(second).read().getState()).isEqualTo(RunState.RUN_STATE_STOPPED);
    first.succeed();
    assertThat(trainer.next().id()).isEqualTo(third.getId());
  }

  @Test
  void stop_ofAQueuedRun_onAFullDisk_changesNothing() throws Exception {
    runs.start("", config(1));
    Session first = trainer.next();
    Run second = runs.start("", config(2));
    Path file = service.folder(second).path().resolve("run.json");
    byte[] json = Files.readAllBytes(file);
    Files.delete(file);
    Files.createDirectories(file.resolve("in the way"));

    assertThat(
            catchThrowableOfType(IOException.class, () -> service.scheduler.stop(second.getId())))
        .isNotNull();

    Files.delete(file.resolve("in the way"));
    Files.delete(file);
    Files.write(file, json);
    assertThat(runs.get(second.getId()).getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    first.succeed();
    assertThat(trainer.next().id()).isEqualTo(second.getId());
  }

  @Test
  void start_initializedFromARun_linksItsCheckpoint() throws Exception {
    Run old = stopped(2, 3);

    Run run = runs.start("", old.getRequestedConfig().toBuilder().setInitFrom(old.getId()).build());

    assertThat(run.getInitializedFrom()).isEqualTo(old.getId() + "/step-00000030.safetensors");
    assertThat(CheckpointFile.read(service.folder(run).initialWeights()).epoch()).isEqualTo(3);
    assertThat(service.folder(run).keptCheckpoints(run).files()).isEmpty();
    for (String wrong : List.of("absent", "../" + old.getId(), "/etc/passwd")) {
      assertThat(
              catchThrowableOfType(
                      InvalidConfigException.class,
                      () -> runs.start("", RunConfig.newBuilder().setInitFrom(wrong).build()))
                  .violations())
          .extracting(ConfigViolation::field)
          .containsExactly("config.init_from");
    }
    assertThat(
            catchThrowableOfType(
                    InvalidConfigException.class,
                    () ->
                        runs.start(
                            "",
                            RunConfig.newBuilder().setWidth(9).setInitFrom(old.getId()).build()))
                .violations())
        .singleElement()
        .satisfies(wrong -> assertThat(wrong.description()).contains("width 128; expected 9"));
  }

  @Test
  void resume_ofARunThatSucceeded_needsMoreEpochs() throws Exception {
    Run old = runs.start("", config(2));
    Session session = trainer.next();
    keep(old, 2);
    session.succeed();
    service.awaitEnd(old.getId());

    assertThat(
            catchThrowableOfType(
                    InvalidConfigException.class,
                    () -> join(runs.resume("", old.getId(), OptionalInt.of(2))))
                .violations())
        .singleElement()
        .satisfies(wrong -> assertThat(wrong.description()).contains("2: expected at least 3"));
    Run resumed = join(runs.resume("", old.getId(), OptionalInt.of(4)));

    assertThat(resumed.getResumedFrom()).isEqualTo(old.getId());
    assertThat(resumed.getConfig().getEpochs()).isEqualTo(4);
  }

  @Test
  void get_ofARunningRunWithoutItsProcess_isInterrupted() throws Exception {
    Run run = service.store.create(Run.newBuilder().setConfig(config(2)).build()).read();
    setState(run, RunState.RUN_STATE_RUNNING);

    assertThat(runs.get(run.getId()).getInterrupted()).isTrue();
    try (RunRecords.Hold hold = lock(service.folder(run)).orElseThrow()) {
      assertThat(hold.record().run().getInterrupted()).isFalse();
      assertThat(runs.get(run.getId()).getInterrupted()).isFalse();
    }
    assertThat(runs.list(10, "").runs()).singleElement().returns(true, Run::getInterrupted);
  }

  @Test
  void stop_ofTheActiveRun_requestsItsEnd() throws Exception {
    Run run = runs.start("", config(1));
    trainer.next();

    assertThat(runs.stop(run.getId()).getId()).isEqualTo(run.getId());

    assertThat(service.awaitEnd(run.getId()))
        .returns(RunState.RUN_STATE_STOPPED, Run::getState)
        .returns("stopped on request", Run::getReason);
  }

  @Test
  void stop_ofARunThatHasEnded_leavesItAsItIs() throws Exception {
    Run run = runs.start("", config(1));
    trainer.next().succeed();
    Run ended = service.awaitEnd(run.getId());

    assertThat(runs.stop(run.getId()).getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);

    assertThat(service.folder(run).read().getEnded()).isEqualTo(ended.getEnded());
  }

  @Test
  void endsAreFinal() throws Exception {
    Run run = runs.start("", config(1));
    Session session = trainer.next();
    session.succeed();
    service.awaitEnd(run.getId());

    assertThat(
            catchThrowableOfType(
                IllegalStateException.class,
                () -> session.record.state(RunState.RUN_STATE_RUNNING, "")))
        .hasMessageContaining("it cannot become");
    assertThat(runs.get(run.getId()).getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void anUnknownRun_isNotFound() {
    for (String id : List.of("absent", "../outside", "", "A B")) {
      assertThat(refusal(() -> runs.get(id)).why()).isEqualTo(Why.NOT_FOUND);
      assertThat(refusal(() -> runs.stop(id)).why()).isEqualTo(Why.NOT_FOUND);
      assertThat(refusal(() -> runs.watch(id)).why()).isEqualTo(Why.NOT_FOUND);
      assertThat(refusal(() -> join(runs.publish(id, "", ""))).why()).isEqualTo(Why.NOT_FOUND);
    }
  }

  @Test
  void aFaultInTraining_failsTheRun_notTheNext() throws Exception {
    Run first = runs.start("", config(1));
    Run second = runs.start("", config(1));
    runs.start("", config(1));
    trainer.next().breakDown();
    trainer.next().forget();
    trainer.next();

    for (Run run : List.of(first, second)) {
      assertThat(runs.get(run.getId()))
          .returns(RunState.RUN_STATE_FAILED, Run::getState)
          .returns("a fault of this program; its log has the cause", Run::getReason);
    }
  }

  @Test
  void aLostDevice_leavesTheRunRunning_andTheRestQueued() throws Exception {
    Run first = runs.start("", config(1));
    Run second = runs.start("", config(1));
    trainer.next().loseDevice();

    service.failed.get(30, TimeUnit.SECONDS);

    assertThat(trainer.isIdle()).isTrue();
    assertThat(refusal(() -> runs.start("", config(1))).why()).isEqualTo(Why.ENDING);
    service.close();
    assertThat(service.folder(first).read())
        .returns(RunState.RUN_STATE_RUNNING, Run::getState)
        .returns("interrupted", Run::getReason);
    assertThat(service.folder(second).read().getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    start();
    for (Run next : List.of(first, second)) {
      Session session = trainer.next();
      assertThat(session.id()).isEqualTo(next.getId());
      session.succeed();
    }
  }

  @Test
  void aPreventedRun_isTriedAgain_thenFailed_andResumed() throws Exception {
    Run run = runs.start("", config(3));
    for (int attempt = 1; attempt <= 3; attempt++) {
      Session session = trainer.next();
      assertThat(session.id()).isEqualTo(run.getId());
      session.prevent("a full disk", 0);
    }

    assertThat(service.awaitEnd(run.getId()))
        .returns(RunState.RUN_STATE_FAILED, Run::getState)
        .satisfies(end -> assertThat(end.getReason()).contains("3 attempts", "a full disk"));
    assertThat(service.metrics()).contains("trainer_runs_given_up_total 1.0");
    Run resumed = join(runs.resume("", run.getId(), OptionalInt.empty()));
    assertThat(resumed)
        .returns(run.getId(), Run::getResumedFrom)
        .returns(run.getConfig(), Run::getConfig)
        .returns(0, Run::getCheckpointsCount);
    assertThat(trainer.next().id()).isEqualTo(resumed.getId());
  }

  @Test
  void aPreventedRun_withProgress_hasAllAttemptsAgain() throws Exception {
    restart(List.of(Duration.ZERO));
    Run run = runs.start("", config(3));
    for (long step : List.of(1, 2, 3)) {
      trainer.next().prevent("a full disk", step);
    }
    Session session = trainer.next();
    assertThat(session.id()).isEqualTo(run.getId());

    session.prevent("a full disk", 2);

    assertThat(service.awaitEnd(run.getId()).getReason()).contains("2 attempts");
  }

  @Test
  void aPreventedRun_waits_whileOthersAreTrained() throws Exception {
    restart(List.of(Duration.ofHours(1)));
    Run run = runs.start("", config(3));
    Session session = trainer.next();
    Run other = runs.start("", config(3));

    session.prevent("a full disk", 7);

    Session next = trainer.next();
    assertThat(next.id()).isEqualTo(other.getId());
    assertThat(runs.get(run.getId()))
        .returns(RunState.RUN_STATE_RUNNING, Run::getState)
        .returns("a full disk; attempt 2 of 2 in 3600 s", Run::getReason);
    try (RunRecords.Hold hold = runs.watch(run.getId())) {
      assertThat(hold.record().events(1, 10).list())
          .singleElement()
          .returns("retry", event -> event.getWarning().getKind())
          .returns(7L, event -> event.getWarning().getStep());
    }
    assertThat(runs.stop(run.getId()))
        .returns(RunState.RUN_STATE_STOPPED, Run::getState)
        .returns("stopped while it waited for another attempt", Run::getReason);
    next.succeed();
  }

  @Test
  void close_endsTheWait_andTheNextStartTriesAgain() throws Exception {
    restart(List.of(Duration.ofHours(1)));
    Run run = runs.start("", config(3));
    Session session = trainer.next();
    Run marker = runs.start("", config(3));
    session.prevent("a full disk", 7);
    Session next = trainer.next();
    assertThat(next.id()).isEqualTo(marker.getId());
    next.succeed();
    service.awaitEnd(marker.getId());

    restart();

    assertThat(trainer.next())
        .returns(run.getId(), Session::id)
        .returns(RunState.RUN_STATE_RUNNING, again -> again.record.run().getState());
  }

  @Test
  void aPreventedRun_thatIsToStop_isStopped() throws Exception {
    restart(List.of(Duration.ofHours(1)));
    Run run = runs.start("", config(3));
    Session session = trainer.next();
    session.preventAfterStop("a full disk");

    runs.stop(run.getId());

    assertThat(service.awaitEnd(run.getId()))
        .returns(RunState.RUN_STATE_STOPPED, Run::getState)
        .returns("stopped on request; a full disk", Run::getReason);
  }

  @Test
  void anEndThatCouldNotBeWritten_isWrittenLater() throws Exception {
    Run run = runs.start("", config(3));
    Session session = trainer.next();
    Run other = runs.start("", config(3));

    session.succeedUnwritten();

    assertThat(trainer.next().id()).as("it is not trained again").isEqualTo(other.getId());
    assertThat(service.folder(run).read().getState()).isEqualTo(RunState.RUN_STATE_SUCCEEDED);
  }

  @Test
  void anEndThatCannotBeWritten_isReachedAtTheNextStart() throws Exception {
    restart(List.of());
    Run run = runs.start("", config(3));
    Session session = trainer.next();
    Run other = runs.start("", config(3));
    session.succeedUnwritten();
    assertThat(trainer.next().id()).isEqualTo(other.getId());
    assertThat(runs.get(run.getId()).getInterrupted()).isTrue();

    restart();

    Session again = trainer.next();
    assertThat(again.id()).isIn(run.getId(), other.getId());
    again.succeed();
    assertThat(List.of(again.id(), trainer.next().id()))
        .containsExactlyInAnyOrder(run.getId(), other.getId());
  }

  @Test
  void aRunThatKillsTheProcess_fails_andTheQueueGoesOn() throws Exception {
    Run killer = runs.start("", config(1));
    for (int death = 1; death <= 3; death++) {
      assertThat(trainer.next().id()).isEqualTo(killer.getId());
      assertThat(service.folder(killer).read().getAttempts()).isEqualTo(death);
      dieAndRestart(killer);
    }

    assertThat(runs.get(killer.getId()))
        .returns(RunState.RUN_STATE_FAILED, Run::getState)
        .satisfies(run -> assertThat(run.getReason()).contains("killed 3 times", "batch_size"));
    Run next = runs.start("", config(1));
    assertThat(trainer.next().id()).isEqualTo(next.getId());
  }

  @Test
  void anOrderlyEndOfTheProcess_isNoDeath() throws Exception {
    Run run = runs.start("", config(1));
    for (int i = 0; i < 5; i++) {
      trainer.next();
      restart();
    }

    assertThat(trainer.next().id()).isEqualTo(run.getId());
    assertThat(service.folder(run).read().getAttempts()).isEqualTo(1);
  }

  @Test
  void aRunWhoseMemoryDoesNotSuffice_fails_afterAsManyAttempts() throws Exception {
    Run run = runs.start("", config(1));
    trainer.next();
    service.close();
    RunDirectory files = service.folder(run);
    DeviceFailure failure =
        DeviceFailure.newBuilder().setKind("out_of_memory").setAttempts(3).build();
    files.write(files.read().toBuilder().setDeviceFailure(failure).build());

    start();

    assertThat(runs.get(run.getId()))
        .returns(RunState.RUN_STATE_FAILED, Run::getState)
        .satisfies(failed -> assertThat(failed.getReason()).contains("out of memory 3 times"));
  }

  /** Ends the service and leaves of a run what a killed process leaves. */
  private void dieAndRestart(Run run) throws Exception {
    RunDirectory files = service.folder(run);
    Run left = files.read();
    service.close();
    files.write(left);
    start();
  }

  @Test
  void aRequestId_isUnique_acrossServicesOfOneFolder() throws Exception {
    TestRunManager other = TestRunManager.start(folder, null);
    try {
      Run run = runs.start("once", config(1));

      assertThat(other.runs.start("once", config(1)).getId()).isEqualTo(run.getId());
      assertThat(refusal(() -> other.runs.start("once", config(2))).why())
          .isEqualTo(Why.ALREADY_EXISTS);
      Run another = other.runs.start("twice", config(1));
      assertThat(runs.start("twice", config(1)).getId()).isEqualTo(another.getId());
      assertThat(runs.list(10, "").runs()).hasSize(2);
    } finally {
      other.close();
    }
  }

  @Test
  void aRequestId_whoseProcessWasKilledBeforeTheRun_startsIt() throws Exception {
    Run run = runs.start("once", config(1));
    trainer.next().succeed();
    service.awaitEnd(run.getId());
    Files.delete(service.folder(run).path().resolve("run.json"));

    Run again = runs.start("once", config(1));

    assertThat(again.getId()).isEqualTo(run.getId());
    assertThat(trainer.next().id()).isEqualTo(run.getId());
  }

  @Test
  void whatIsKeptInMemory_doesNotGrowWithEachRun() throws Exception {
    for (int i = 0; i < 10; i++) {
      Run run = runs.start("request " + i, config(1));
      trainer.next().succeed();
      service.awaitEnd(run.getId());
      assertThat(runs.start("request " + i, config(1)).getId()).isEqualTo(run.getId());
    }
    assertThat(runs.remembered()).isZero();
    service.close();
    start();
    assertThat(runs.remembered()).isZero();
  }

  @Test
  void quotas_areForEachCaller() throws Exception {
    restart(
        new RunLimits(
            100,
            100_000,
            256,
            1024,
            100_000,
            3,
            OptionalInt.of(1),
            OptionalInt.of(2),
            OptionalLong.empty(),
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalLong.empty(),
            OptionalLong.empty()));
    runs.start("", config(1));
    Session first = trainer.next();
    Run second = runs.start("", config(1));

    assertThat(refusal(() -> runs.start("", config(1))))
        .returns(Why.FULL, RequestException::why)
        .hasMessageContaining("1 runs of this caller");
    first.succeed();
    assertThat(trainer.next().id()).isEqualTo(second.getId());

    assertThat(refusal(() -> runs.start("", config(1))))
        .returns(Why.FULL, RequestException::why)
        .hasMessageContaining("2 runs within 24 hours");
  }

  @Test
  void diskQuota_countsTheRunsOfTheCaller_untilTheyAreRemoved() throws Exception {
    long limit = 1 << 20;
    restart(
        new RunLimits(
            100,
            100_000,
            256,
            1024,
            100_000,
            3,
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalLong.of(limit),
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalLong.empty(),
            OptionalLong.empty()));
    Run large = runs.start("", config(1));
    Files.write(service.folder(large).samples(1), new byte[(int) limit]);
    trainer.next().fail("diverged");
    service.awaitEnd(large.getId());

    assertThat(refusal(() -> runs.start("", config(1))))
        .returns(Why.FULL, RequestException::why)
        .hasMessageContainingAll("use 1.0 MiB", "at most 1.0 MiB", "--keep-runs");
    assertThat(refusal(() -> join(runs.resume("", large.getId(), OptionalInt.empty()))))
        .returns(Why.FULL, RequestException::why);
    Run ofAnother = service.folder(large).read().toBuilder().setCaller("another").build();
    service.folder(large).write(ofAnother);
    Run small = runs.start("", config(1));
    assertThat(trainer.next().id()).isEqualTo(small.getId());
  }

  @Test
  void retention_removesEndedRunsOnly_andNotWhatIsWatched() throws Exception {
    restart(
        new RunLimits(
            100,
            100_000,
            256,
            1024,
            100_000,
            3,
            OptionalInt.empty(),
            OptionalInt.empty(),
            OptionalLong.empty(),
            OptionalInt.of(1),
            OptionalInt.empty(),
            OptionalLong.empty(),
            OptionalLong.empty()));
    List<Run> ended = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Run run = runs.start("request-" + i, config(1));
      trainer.next().succeed();
      ended.add(service.awaitEnd(run.getId()));
    }
    Run active = runs.start("", config(1));
    trainer.next();

    try (RunRecords.Hold watched = runs.watch(ended.get(0).getId());
        RunRecords.Hold published = lock(service.folder(ended.get(1))).orElseThrow()) {
      assertThat(watched).isNotEqualTo(published);
      runs.retention().apply();
    }

    assertThat(runs.list(10, "").runs())
        .extracting(Run::getId)
        .containsExactly(
            active.getId(), ended.get(3).getId(), ended.get(1).getId(), ended.get(0).getId());
    assertThat(service.metrics())
        .contains("trainer_runs_removed_total 1.0", "trainer_runs{state=\"succeeded\"} 3.0");
    runs.retention().apply();
    assertThat(runs.list(10, "").runs()).hasSize(2);
    assertThat(runs.start("request-0", config(1)).getId()).isNotEqualTo(ended.get(0).getId());
  }

  @Test
  void retention_removesRunsThatEndedTooLongAgo() throws Exception {
    Run old = runs.start("", config(1));
    trainer.next().succeed();
    Run end = service.awaitEnd(old.getId());
    Run recent = runs.start("", config(1));
    trainer.next().succeed();
    service.awaitEnd(recent.getId());
    service
        .folder(old)
        .write(end.toBuilder().setEnded(Timestamps.fromSeconds(1_700_000_000)).build());

    new RunRetention(
            service.store,
            new RunRecords(TestRunManager.CLOCK),
            TestRunManager.CLOCK,
            OptionalInt.empty(),
            OptionalInt.of(1),
            service.scheduler.metrics())
        .apply();

    assertThat(runs.list(10, "").runs()).extracting(Run::getId).containsExactly(recent.getId());
  }

  @Test
  void recovery_removesWhatKilledProcessesLeft() throws Exception {
    Run run = runs.start("", config(1));
    trainer.next().succeed();
    service.awaitEnd(run.getId());
    Path files = service.folder(run).path();
    String unfinished = "-01234567-89ab-cdef-0123-456789abcdef";
    Files.writeString(files.resolve(".run.json" + unfinished), "{");
    Files.writeString(files.resolve("checkpoints/.step-00000001.safetensors" + unfinished), "");
    Files.createDirectories(folder.resolve(".removed-x/samples"));
    Files.writeString(files.resolve("notes"), "of a person");

    restart();

    assertThat(files)
        .isDirectoryRecursivelyContaining("glob:**/notes")
        .isDirectoryNotContaining("glob:**/.run.json-*");
    assertThat(files.resolve("checkpoints")).isEmptyDirectory();
    assertThat(folder.resolve(".removed-x")).doesNotExist();
  }

  private void restart(RunLimits limits) throws Exception {
    service.close();
    service = TestRunManager.start(folder, null, List.of(Duration.ZERO), limits);
    runs = service.runs;
    trainer = service.trainer;
  }

  @Test
  void recovery_movesRunsWithoutANamedDevice() throws Exception {
    Run unnamed = runs.start("", config(1));
    Session session = trainer.next();
    Run named = runs.start("", config(1).toBuilder().setDevice("cuda:0").build());
    assertThat(session.config.config().getDevice()).isEqualTo("cuda:1");
    service.close();
    RunDirectory folder = service.folder(unnamed);
    Run run = folder.read();
    // As of a service that had another --device.
    folder.write(run.toBuilder().setConfig(run.getConfig().toBuilder().setDevice("auto")).build());

    start();

    Session moved = trainer.next();
    assertThat(moved.config.config().getDevice()).isEqualTo("cuda:1");
    assertThat(moved.record.run().getConfig().getDevice()).isEqualTo("cuda:1");
    moved.succeed();
    assertThat(trainer.next().record.run())
        .returns(named.getId(), Run::getId)
        .returns("cuda:0", of -> of.getConfig().getDevice());
  }

  @Test
  void close_interruptsTheRun_whichIsContinuedFirst() throws Exception {
    Run stopped = runs.start("", config(9));
    Run a = runs.start("", config(1));
    Session before = trainer.next();
    Run b = runs.start("", config(2));
    Run c = runs.start("", config(3));
    runs.stop(stopped.getId());
    assertThat(before.id()).isEqualTo(stopped.getId());
    assertThat(trainer.next().id()).isEqualTo(a.getId());

    service.close();
    assertThat(service.folder(a).read().getState()).isEqualTo(RunState.RUN_STATE_RUNNING);
    assertThat(service.folder(b).read().getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    assertThat(refusal(() -> runs.start("", config(1))).why()).isEqualTo(Why.ENDING);
    assertThat(refusal(() -> runs.publish(a.getId(), "", "")).why()).isEqualTo(Why.ENDING);
    // As a crash would leave it: the one under way is not the oldest.
    setState(a, RunState.RUN_STATE_QUEUED);
    setState(b, RunState.RUN_STATE_RUNNING);
    start();

    for (Run next : List.of(b, a, c)) {
      Session session = trainer.next();
      assertThat(session.id()).isEqualTo(next.getId());
      assertThat(session.config.hyperparameters().epochs()).isEqualTo(next.getConfig().getEpochs());
      session.succeed();
    }
    service.awaitEnd(c.getId());
    assertThat(runs.get(stopped.getId()).getState()).isEqualTo(RunState.RUN_STATE_STOPPED);
  }

  @Test
  void recovery_queuesMoreRunsThanTheQueueHolds() throws Exception {
    runs.start("", config(1));
    trainer.next();
    for (int i = 0; i < TestRunManager.MAX_QUEUED; i++) {
      runs.start("", config(1));
    }

    restart();

    for (int i = 0; i <= TestRunManager.MAX_QUEUED; i++) {
      trainer.next().succeed();
    }
  }

  @Test
  void recovery_skipsForeignDamagedAndLockedRuns() throws Exception {
    Run damaged = runs.start("", config(1));
    trainer.next();
    Run locked = runs.start("", config(1));
    Run invalid = runs.start("", config(1));
    service.close();
    Files.writeString(service.folder(damaged).path().resolve("run.json"), "{");
    RunDirectory badConfig = service.folder(invalid);
    Run bad = badConfig.read();
    badConfig.write(bad.toBuilder().setConfig(bad.getConfig().toBuilder().setEpochs(0)).build());
    RunDirectory byHand = service.store.create(Run.newBuilder().setConfig(config(1)).build());

    try (RunRecords.Hold lock = lock(service.folder(locked)).orElseThrow()) {
      assertThat(lock).isNotNull();
      start();
      Run next = runs.start("", config(1));
      assertThat(trainer.next().id()).isEqualTo(next.getId());
      assertThat(runs.get(locked.getId()).getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
      assertThat(refusal(() -> runs.watch(locked.getId())).why()).isEqualTo(Why.WRONG_STATE);
      assertThat(refusal(() -> runs.stop(locked.getId())).why()).isEqualTo(Why.WRONG_STATE);
    }
    assertThat(runs.get(byHand.id()).getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    assertThat(runs.get(invalid.getId()))
        .returns(RunState.RUN_STATE_FAILED, Run::getState)
        .extracting(Run::getReason)
        .asString()
        .contains("epochs");
    assertThat(runs.list(10, "").runs())
        .extracting(Run::getId)
        .doesNotContain(damaged.getId())
        .contains(byHand.id(), invalid.getId(), locked.getId());
  }

  @Test
  void stop_ofAnInactiveRun_endsIt() throws Exception {
    RunDirectory byHand = service.store.create(Run.newBuilder().setConfig(config(1)).build());

    assertThat(runs.stop(byHand.id()).getState()).isEqualTo(RunState.RUN_STATE_STOPPED);

    assertThat(byHand.read().getState()).isEqualTo(RunState.RUN_STATE_STOPPED);
    lock(byHand).orElseThrow().close();
  }

  @Test
  void resume_startsFromTheNewestUndamagedCheckpoint() throws Exception {
    Run old = stopped(2, 3, 4);
    damage(old, 4);

    Run resumed = join(runs.resume("again", old.getId(), OptionalInt.of(40)));

    assertThat(resumed.getResumedFrom()).isEqualTo(old.getId());
    assertThat(resumed.getState()).isEqualTo(RunState.RUN_STATE_QUEUED);
    assertThat(resumed.getConfig()).isEqualTo(old.getConfig().toBuilder().setEpochs(40).build());
    assertThat(resumed.getCheckpointsList()).containsExactly("step-00000030.safetensors");
    Path copy = service.folder(resumed).checkpoints().resolve("step-00000030.safetensors");
    assertThat(CheckpointFile.read(copy).epoch()).isEqualTo(3);
    assertThat(trainer.next().id()).isEqualTo(resumed.getId());
    assertThat(join(runs.resume("again", old.getId(), OptionalInt.of(40))).getId())
        .isEqualTo(resumed.getId());
    assertThat(refusal(() -> join(runs.resume("again", old.getId(), OptionalInt.empty()))).why())
        .isEqualTo(Why.ALREADY_EXISTS);
    // Nor does StartRun take it for one of its own.
    assertThat(
            refusal(() -> runs.start("again", RunConfig.newBuilder().setEpochs(40).build())).why())
        .isEqualTo(Why.ALREADY_EXISTS);
  }

  @Test
  void resume_beforeTheFirstCheckpoint_startsFromTheSameWeights() throws Exception {
    Run first = stopped(3);
    Run old =
        runs.start("", first.getRequestedConfig().toBuilder().setInitFrom(first.getId()).build());
    trainer.next().fail("a full disk");
    service.awaitEnd(old.getId());

    Run resumed = join(runs.resume("", old.getId(), OptionalInt.of(9)));

    assertThat(resumed)
        .returns(old.getInitializedFrom(), Run::getInitializedFrom)
        .returns(9, run -> run.getConfig().getEpochs());
    assertThat(CheckpointFile.read(service.folder(resumed).initialWeights()).epoch()).isEqualTo(3);
    assertThat(service.folder(resumed).keptCheckpoints(resumed).files()).isEmpty();
  }

  @Test
  void resume_ofAFailedRun_outlivesTheOldFolder() throws Exception {
    Run old = runs.start("", config(5));
    Session session = trainer.next();
    keep(old, 1);
    session.fail("a full disk");
    service.awaitEnd(old.getId());

    Run resumed = join(runs.resume("", old.getId(), OptionalInt.empty()));

    assertThat(resumed.getConfig()).isEqualTo(old.getConfig());
    Files.delete(service.folder(old).checkpoints().resolve("step-00000010.safetensors"));
    assertThat(service.folder(resumed).keptCheckpoints(resumed).newest()).isPresent();
  }

  @Test
  void resume_ofWhatCannotBeResumed_isRefused() throws Exception {
    Run old = stopped(3);
    damage(old, 3);
    for (int i = 0; i < 2; i++) { // A damaged checkpoint is renamed.
      RequestException without =
          refusal(() -> join(runs.resume("", old.getId(), OptionalInt.empty())));
      assertThat(without.why()).isEqualTo(Why.WRONG_STATE);
      assertThat(without).hasMessageContaining("has no undamaged checkpoint");
    }
    keep(old, 3);
    assertThat(
            catchThrowableOfType(
                    InvalidConfigException.class,
                    () -> join(runs.resume("", old.getId(), OptionalInt.of(2))))
                .violations())
        .singleElement()
        .returns("epochs", ConfigViolation::field)
        .satisfies(
            violation -> assertThat(violation.description()).contains("2: expected at least 3"));
    assertThat(
            catchThrowableOfType(
                    InvalidConfigException.class,
                    () -> join(runs.resume("", old.getId(), OptionalInt.of(0))))
                .violations())
        .extracting(ConfigViolation::field)
        .contains("epochs");

    Run running = runs.start("", config(1));
    Session session = trainer.next();
    RequestException early =
        refusal(() -> join(runs.resume("", running.getId(), OptionalInt.empty())));
    assertThat(early.why()).isEqualTo(Why.WRONG_STATE);
    assertThat(early).hasMessageContaining("is RUNNING; only one that STOPPED or FAILED");
    session.succeed();
    service.awaitEnd(running.getId());
    assertThat(refusal(() -> join(runs.resume("", running.getId(), OptionalInt.empty()))).why())
        .isEqualTo(Why.WRONG_STATE);
    assertThat(runs.list(10, "").runs()).hasSize(2);
  }

  @Test
  void publish_ofTheActiveRun_isRecordedInIt() throws Exception {
    Run run = runs.start("", config(5));
    Session session = trainer.next();
    keep(run, 1);
    CheckpointFile.write(
        file(run, 2), TestRunManager.checkpoint(2).withQuality(Map.of("frechet_distance", 4.5)));

    ModelVersion newest = join(runs.publish(run.getId(), "", ""));
    ModelVersion older = join(runs.publish(run.getId(), "step-00000010.safetensors", "other"));

    assertThat(service.target.published.take())
        .returns("digits", FakePublishTarget.Published::model)
        .returns(run.getId(), FakePublishTarget.Published::run)
        .returns(Map.of("frechet_distance", 4.5), published -> published.checkpoint().quality())
        .returns(2, published -> published.checkpoint().epoch());
    assertThat(service.target.published.take())
        .returns("other", FakePublishTarget.Published::model)
        .returns(Map.of(), published -> published.checkpoint().quality())
        .returns(1, published -> published.checkpoint().epoch());
    assertThat(runs.get(run.getId()).getPublishedList()).containsExactly(newest, older);
    assertThat(session.record.events(1, 10).list())
        .extracting(event -> event.getModelPublished().getModel())
        .containsExactly(newest, older);
    session.succeed();
    assertThat(service.awaitEnd(run.getId()).getPublishedList()).containsExactly(newest, older);
  }

  @Test
  void publish_ofAnEndedRun_isRecordedOnDisk() throws Exception {
    Run run = stopped(1);

    ModelVersion version = join(runs.publish(run.getId(), "", ""));

    assertThat(service.folder(run).read())
        .returns(List.of(version), Run::getPublishedList)
        .returns(RunState.RUN_STATE_STOPPED, Run::getState);
  }

  @Test
  void publish_ofWhatIsNotKept_isRefused() throws Exception {
    Run run = stopped();
    assertThat(refusal(() -> join(runs.publish(run.getId(), "", ""))))
        .hasMessageContaining("has no checkpoint yet")
        .returns(Why.WRONG_STATE, RequestException::why);
    keep(run, 1);
    for (String name : List.of("step-00000099.safetensors", "../run.json", "run.json")) {
      assertThat(refusal(() -> join(runs.publish(run.getId(), name, ""))).why())
          .isEqualTo(Why.NOT_FOUND);
    }
    assertThat(
            catchThrowableOfType(
                    InvalidConfigException.class,
                    () -> join(runs.publish(run.getId(), "", "Not A Name")))
                .violations())
        .singleElement()
        .returns("model", ConfigViolation::field);
    damage(run, 1);
    assertThat(refusal(() -> join(runs.publish(run.getId(), "", ""))))
        .hasMessageContaining("is damaged")
        .returns(Why.WRONG_STATE, RequestException::why);
    assertThat(service.target.published).isEmpty();
  }

  @Test
  void publish_ofACheckpointRemovedMeanwhile_isNotFound() throws Exception {
    Run run = stopped(1);
    service.target.permits.drainPermits();
    CompletableFuture<ModelVersion> asked = runs.publish(run.getId(), "", "");
    service.target.begun.acquire();
    Path file = file(run, 1);
    Files.delete(file);

    service.target.failure = new NoSuchFileException(file.toString());
    service.target.permits.release();

    assertThat(refusal(() -> join(asked)).why()).isEqualTo(Why.NOT_FOUND);
  }

  @Test
  void publish_whenTheQueueIsFull_isRefused() throws Exception {
    Run run = stopped(1);
    service.target.permits.drainPermits();
    List<CompletableFuture<ModelVersion>> asked = new ArrayList<>();
    asked.add(runs.publish(run.getId(), "", "first"));
    service.target.begun.acquire();
    for (int i = 0; i < 16; i++) {
      asked.add(runs.publish(run.getId(), "", "waits-" + i));
    }

    assertThat(refusal(() -> runs.publish(run.getId(), "", "")).why()).isEqualTo(Why.FULL);

    asked.get(1).cancel(false);
    service.target.permits.release(100);
    asked.get(16).join();
    assertThat(service.target.published)
        .hasSize(16)
        .extracting(FakePublishTarget.Published::model)
        .doesNotContain("waits-0");
  }

  @Test
  void list_givesPages_newestFirst() throws Exception {
    List<String> ids = new ArrayList<>();
    ids.add(runs.start("", config(1)).getId());
    trainer.next(); // So that it is not among those that may wait.
    for (int i = 0; i < TestRunManager.MAX_QUEUED; i++) {
      ids.add(0, runs.start("", config(1)).getId());
    }

    RunSource.Page first = runs.list(3, "");
    RunSource.Page second = runs.list(3, first.next());

    assertThat(first.runs()).extracting(Run::getId).isEqualTo(ids.subList(0, 3));
    assertThat(second.runs()).extracting(Run::getId).isEqualTo(ids.subList(3, 4));
    assertThat(second.next()).isEmpty();
    // What came since is on no later page.
    runs.stop(ids.get(0));
    assertThat(runs.list(4, "").next()).isEmpty();
  }

  @Test
  void list_endsAPage_beforeItGetsLarge() throws Exception {
    for (int i = 0; i < 4; i++) {
      RunDirectory run = service.store.create(Run.newBuilder().setConfig(config(1)).build());
      run.write(run.read().toBuilder().setReason("x".repeat(100_000)).build());
    }

    RunSource.Page first = runs.list(1000, "");
    RunSource.Page second = runs.list(1000, first.next());

    assertThat(first.runs()).hasSize(2);
    assertThat(second.runs()).hasSize(2);
    assertThat(second.next()).isEmpty();
  }

  @Test
  void list_withAHugeRunJson_showsTheOthers() throws Exception {
    RunDirectory huge = service.store.create(Run.newBuilder().setConfig(config(1)).build());
    RunDirectory other = service.store.create(Run.newBuilder().setConfig(config(1)).build());
    Files.write(huge.path().resolve("run.json"), new byte[50 << 20]);

    restart();

    assertThat(runs.list(10, "").runs()).singleElement().returns(other.id(), Run::getId);
  }

  @Test
  void metrics_countRunsByState() throws Exception {
    runs.start("", config(1));
    Session session = trainer.next();
    runs.stop(runs.start("", config(1)).getId());
    runs.start("", config(1));

    assertThat(service.metrics())
        .contains(
            "trainer_runs{state=\"queued\"} 1.0",
            "trainer_runs{state=\"running\"} 1.0",
            "trainer_runs{state=\"stopped\"} 1.0",
            "trainer_runs{state=\"failed\"} 0.0");
    session.succeed();
    trainer.next();
    assertThat(service.metrics()).contains("trainer_runs{state=\"succeeded\"} 1.0");

    restart();

    trainer.next();
    assertThat(service.metrics())
        .contains(
            "trainer_runs{state=\"queued\"} 0.0",
            "trainer_runs{state=\"running\"} 1.0",
            "trainer_runs{state=\"succeeded\"} 1.0",
            "trainer_runs{state=\"stopped\"} 1.0");
  }

  /** A run that was stopped, with checkpoints after these epochs. */
  private Run stopped(int... epochs) throws Exception {
    Run run = runs.start("", config(25));
    trainer.next();
    for (int epoch : epochs) {
      keep(run, epoch);
    }
    runs.stop(run.getId());
    return service.awaitEnd(run.getId());
  }

  private void keep(Run run, int epoch) throws IOException {
    CheckpointFile.write(file(run, epoch), TestRunManager.checkpoint(epoch));
  }

  private void damage(Run run, int epoch) throws IOException {
    Files.write(file(run, epoch), new byte[] {1}, StandardOpenOption.APPEND);
  }

  private Path file(Run run, int epoch) {
    return service.folder(run).checkpoints().resolve("step-%08d.safetensors".formatted(10 * epoch));
  }

  /** Locks a run as another process does. */
  private static Optional<RunRecords.Hold> lock(RunDirectory run) throws IOException {
    return new RunRecords(TestRunManager.CLOCK).lock(run);
  }

  private void setState(Run run, RunState state) throws IOException {
    RunDirectory on = service.folder(run);
    on.write(on.read().toBuilder().setState(state).build());
  }

  private static RequestException refusal(ThrowingCallable call) {
    RequestException refused = catchThrowableOfType(RequestException.class, call);
    assertThat(refused).as("refused").isNotNull();
    return refused;
  }

  /** The result, or what the future failed with. */
  private static <T> T join(CompletableFuture<T> future) throws Exception {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Exception cause) {
        throw cause;
      }
      throw e;
    }
  }
}
