package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunConfig;
import dev.dcgan.v1.RunState;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunStoreTest {

  private static final Run DRAFT =
      Run.newBuilder().setConfig(RunConfig.newBuilder().setSeed(3)).build();

  @TempDir private Path folder;
  private RunStore store;

  @BeforeEach
  void open() {
    store = new RunStore(folder.resolve("runs"), InstantSource.system());
  }

  @Test
  void create_ofAnId_makesAQueuedRunOfThatId() throws Exception {
    RunDirectory run = store.create("sweep-3", DRAFT);

    assertThat(run.id()).isEqualTo("sweep-3");
    assertThat(store.find("sweep-3").orElseThrow().read())
        .returns(RunState.RUN_STATE_QUEUED, Run::getState)
        .returns(3L, read -> read.getConfig().getSeed());
    assertThat(run.checkpoints()).isDirectory();
    try (RunLock lock = run.tryLock().orElseThrow()) {
      assertThat(lock).as("left for the one that trains").isNotNull();
    }
  }

  @Test
  void create_thatFails_leavesNothing() {
    assertThatIOException()
        .isThrownBy(() -> store.create(DRAFT, folder.resolve("absent.safetensors")));

    assertThat(folder.resolve("runs")).isEmptyDirectory();
  }

  @Test
  void create_ofAnIdWhoseFolderHasNoRunYet_fillsIt() throws Exception {
    Files.createDirectories(folder.resolve("runs/sweep-3/checkpoints"));

    assertThat(store.create("sweep-3", DRAFT).read().getConfig().getSeed()).isEqualTo(3);
  }

  @Test
  void create_afterAProcessDiedCreatingIt_replacesItsCheckpoint() throws Exception {
    Path checkpoint = folder.resolve("step-00000007.safetensors");
    Files.writeString(checkpoint, "whole");
    Path left = Files.createDirectories(folder.resolve("runs/sweep-3/checkpoints"));
    Files.writeString(left.resolve("step-00000007.safetensors"), "wh");

    RunDirectory run = store.create("sweep-3", DRAFT, checkpoint);

    assertThat(run.checkpoints().resolve("step-00000007.safetensors")).hasContent("whole");
  }

  @Test
  void create_ofAnIdThatIsTakenOrBeingMade_leavesThatAlone() throws Exception {
    RunDirectory run = store.create("sweep-3", DRAFT);
    Path unfinished = Files.createDirectories(folder.resolve("runs/sweep-4"));

    assertThatIOException()
        .isThrownBy(() -> store.create("sweep-3", Run.getDefaultInstance()))
        .withMessageStartingWith("cannot create run sweep-3: another process");
    try (RunLock lock = new RunDirectory(unfinished).tryLock().orElseThrow()) {
      assertThat(lock).isNotNull();
      assertThatIOException()
          .isThrownBy(() -> store.create("sweep-4", DRAFT))
          .withMessageStartingWith("cannot create run sweep-4: another process");
    }

    assertThat(run.read().getConfig().getSeed()).isEqualTo(3);
    assertThat(store.find("sweep-4")).isEmpty();
  }

  @Test
  void bytes_countAFileOfSeveralRunsOnce() throws Exception {
    RunDirectory first = store.create(DRAFT);
    long empty = store.bytesOf(run -> true);
    Path checkpoint =
        Files.write(first.checkpoints().resolve("step-00000001.safetensors"), new byte[1000]);
    assertThat(store.bytesOf(run -> true)).isEqualTo(empty + 1000);

    RunDirectory second = store.create(DRAFT, checkpoint);
    Files.writeString(second.path().resolve("run.json"), "damaged");

    assertThat(store.bytesOf(run -> true)).as("without the damaged one").isEqualTo(empty + 1000);
    second.write(first.read());
    assertThat(store.bytesOf(run -> true))
        .isEqualTo(empty + 1000 + Files.size(second.path().resolve("run.json")));
    assertThat(store.bytesOf(run -> run.getId().equals(first.id()))).isEqualTo(empty + 1000);
  }

  @Test
  void lock_removesTemporaryFilesOfAKilledProcess() throws Exception {
    RunDirectory run = store.create("sweep-3", DRAFT);
    List<Path> leftovers =
        List.of(
            run.path().resolve(".run.json-" + UUID.randomUUID()),
            run.samples().resolve(".epoch-001.png-" + UUID.randomUUID()),
            run.checkpoints().resolve(".step-00000007.safetensors-" + UUID.randomUUID()));
    for (Path leftover : leftovers) {
      Files.createFile(leftover);
    }

    try (RunRecords.Hold hold = new RunRecords(InstantSource.system()).lock(run).orElseThrow()) {
      assertThat(leftovers).noneMatch(Files::exists);
      assertThat(hold.record().run().getConfig().getSeed()).isEqualTo(3);
    }
  }

  @Test
  void sweep_removesOldLeftoversOfRunsNeverCreated_andNothingElse() throws Exception {
    Path runs = folder.resolve("runs");
    store.create("sweep-3", DRAFT);
    Path claims = Files.createDirectories(runs.resolve(".requests"));
    String temporary = ".claim-" + UUID.randomUUID();
    List<Path> leftovers =
        List.of(
            Files.createDirectory(runs.resolve("20260101-000000-digits")),
            Files.createFile(claims.resolve(temporary)));
    Path claim = Files.createFile(claims.resolve("claim"));
    Path notes = Files.createDirectories(runs.resolve("notes/empty"));

    assertThat(store.sweep()).as("while they may be in use").isZero();
    Instant afterwards = Instant.now().plus(Duration.ofDays(2));
    assertThat(new RunStore(runs, InstantSource.fixed(afterwards)).sweep()).isEqualTo(2);

    assertThat(leftovers).noneMatch(Files::exists);
    assertThat(claim).exists();
    assertThat(notes).exists();
    assertThat(store.find("sweep-3")).isPresent();
  }
}
