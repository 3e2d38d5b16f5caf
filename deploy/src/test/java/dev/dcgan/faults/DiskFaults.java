package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.e2e.Program;
import dev.dcgan.v1.SamplerServiceGrpc;
import dev.dcgan.v1.SetServingVersionRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Disks that are full, read-only, gone or slow for a while, under both programs. */
@ExtendWith(FaultTable.class)
class DiskFaults {

  private static final int CALLERS = 4;
  private static final int DEADLINE_MILLIS = 20_000;

  @TempDir private static Path folder;
  private static SmallModels models;
  private static byte[] trained = {};

  @TempDir private Path parent;

  @BeforeAll
  static void train() throws Exception {
    models = SmallModels.train(folder);
    Programs.run(folder, Programs.smallTraining("--repository=models"));
    trained = Repositories.model(folder.resolve("models"), "mnist28", 1);
  }

  /** What happens to a disk, and its end. */
  private interface Fault {
    void begin(Disk disk) throws IOException, InterruptedException;

    void end(Disk disk) throws IOException, InterruptedException;
  }

  private static final Fault FULL =
      new Fault() {
        @Override
        public void begin(Disk disk) throws IOException {
          Path unused = disk.fill();
        }

        @Override
        public void end(Disk disk) throws IOException {
          Files.delete(disk.folder().resolve("filler"));
        }
      };

  private static final Fault READ_ONLY =
      new Fault() {
        @Override
        public void begin(Disk disk) throws IOException, InterruptedException {
          disk.makeReadOnly();
        }

        @Override
        public void end(Disk disk) throws IOException, InterruptedException {
          disk.makeWritable();
        }
      };

  private static final Fault VANISHED =
      new Fault() {
        @Override
        public void begin(Disk disk) throws IOException, InterruptedException {
          disk.vanish();
        }

        @Override
        public void end(Disk disk) throws IOException, InterruptedException {
          disk.reappear();
        }
      };

  @Test
  @DisplayName("full disk: trainer serve")
  void full_training(FaultRow row) throws Exception {
    training(row, FULL);
  }

  @Test
  @DisplayName("read-only disk: trainer serve")
  void readOnly_training(FaultRow row) throws Exception {
    training(row, READ_ONLY);
  }

  @Test
  @DisplayName("vanished disk: trainer serve")
  void vanished_training(FaultRow row) throws Exception {
    training(row, VANISHED);
  }

  @Test
  @DisplayName("full disk: sampler serve")
  void full_serving(FaultRow row) throws Exception {
    serving(row, FULL);
  }

  @Test
  @DisplayName("read-only disk: sampler serve")
  void readOnly_serving(FaultRow row) throws Exception {
    serving(row, READ_ONLY);
  }

  @Test
  @DisplayName("vanished disk: sampler serve")
  void vanished_serving(FaultRow row) throws Exception {
    serving(row, VANISHED);
  }

  @Test
  @DisplayName("full disk: trainer export, sampler export")
  void full_exports(FaultRow row) throws Exception {
    row.checked("both fail in one line and leave nothing partial; afterwards the same bytes");
    try (Disk disk = Disk.inMemory(parent, 2)) {
      Path repository = disk.folder().resolve("models");
      models.publish(repository);
      List<String> shards =
          Programs.sampler(
              "export",
              "--repository=" + repository,
              "--model=" + SmallModels.NAME,
              "--seed=3",
              "--count=1000",
              "--shard-images=100",
              "--keep-existing",
              "--out=");
      Programs.run(folder, withLast(shards, "--out=" + folder.resolve("full-expected")));
      Path filler = disk.fill();
      row.count();
      fails(withLast(shards, "--out=" + disk.folder().resolve("shards")));
      assertThatThrownBy(() -> models.publish(repository)).isInstanceOf(IOException.class);
      assertThat(Repositories.requireWhole(repository, SmallModels.NAME)).containsExactly(1L);

      Files.delete(filler);
      Programs.run(folder, withLast(shards, "--out=" + disk.folder().resolve("shards")));
      for (int shard = 0; shard < 10; shard++) {
        String name = "%s-%06d.tar".formatted(SmallModels.NAME, shard);
        assertThat(disk.folder().resolve("shards/" + name))
            .hasSameBinaryContentAs(folder.resolve("full-expected/" + name));
      }
      assertThat(models.publish(repository)).isEqualTo(2);
      assertThat(Repositories.leftovers(disk.folder())).isEmpty();
    }
  }

  @Test
  @DisplayName("slow disk: trainer train, sampler serve")
  void slow(FaultRow row) throws Exception {
    row.checked("the same model; calls answered while a version loads; it is served then");
    int rate = 400; // KiB per second
    try (Disk disk = Disk.onLoopDevice(parent, 64);
        ControlGroup group = ControlGroup.withSlowDevice(disk.device(), rate)) {
      row.count();
      row.result("%d KiB/s", rate);
      Path repository = disk.folder().resolve("models");
      long start = System.nanoTime();
      Programs.run(
          folder,
          group.run(
              Programs.smallTraining(
                  "--runs=" + disk.folder().resolve("runs"), "--repository=" + repository)));
      row.result("training took %.1f s", (System.nanoTime() - start) / 1e9);
      Repositories.requireModel(repository, "mnist28", 1, trained);

      models.publish(repository);
      try (Service sampler =
          Service.start(
              folder,
              group.run(
                  Programs.sampler(
                      "serve",
                      "--repository=" + repository,
                      "--model=" + SmallModels.NAME,
                      "--poll=200ms")))) {
        sampler.program().awaitLine("serving " + SmallModels.NAME + "/1 ");
        try (CheckedCalls calls =
            new CheckedCalls(sampler.channel(), CALLERS, DEADLINE_MILLIS, models::images)) {
          calls.awaitAnswer();
          models.publish(repository);
          dropCaches();
          sampler.program().awaitLine("serving " + SmallModels.NAME + "/2 ");
          calls.awaitAnswer();
          requireAllAnswered(row, calls);
        }
      }
    }
  }

  /** The disk of runs and models fails in the middle of a training, and works again later. */
  private void training(FaultRow row, Fault fault) throws Exception {
    row.checked("the service answers; the run resumes by itself; same bytes, complete events");
    try (Disk disk = Disk.inMemory(parent, 8);
        Service trainer =
            Service.trainer(
                folder,
                "--runs=" + disk.folder().resolve("runs"),
                "--repository=" + disk.folder().resolve("models"))) {
      String run = TrainerRuns.start(trainer.channel(), "disturbed").getId();
      Service.await(
          "checkpoint", () -> TrainerRuns.get(trainer.channel(), run).getCheckpointsCount() > 0);
      fault.begin(disk);
      row.count();
      trainer.program().awaitLine("waits: ");
      requireAnswers(trainer);
      fault.end(disk);

      TrainerRuns.awaitSuccess(trainer.channel(), run);
      TrainerRuns.requireComplete(trainer.channel(), disk.folder().resolve("models"), run, trained);
    }
  }

  private static void requireAnswers(Service trainer) throws Exception {
    assertThat(trainer.metric("trainer_runs")).isEqualTo(1);
  }

  /** The disk of the repository fails under load, and works again later. */
  private void serving(FaultRow row, Fault fault) throws Exception {
    row.checked("every call answered, same bytes; a pin is refused; later versions are served");
    try (Disk disk = Disk.inMemory(parent, 4)) {
      Path repository = disk.folder().resolve("models");
      models.publish(repository);
      models.publish(repository);
      try (Service sampler = Service.sampler(folder, "--repository=" + repository, "--allow-pin");
          CheckedCalls calls = awaitCalls(sampler, 2)) {
        fault.begin(disk);
        row.count();
        calls.awaitAnswer();
        assertThatThrownBy(() -> pin(sampler, 1)).isInstanceOf(StatusRuntimeException.class);
        calls.awaitAnswer();
        fault.end(disk);

        models.publish(repository);
        sampler.program().awaitLine("serving " + SmallModels.NAME + "/3 ");
        pin(sampler, 1);
        calls.awaitAnswer();
        requireAllAnswered(row, calls);
        assertThat(Repositories.leftovers(repository)).isEmpty();
      }
    }
  }

  private static CheckedCalls awaitCalls(Service sampler, long version)
      throws InterruptedException {
    sampler.program().awaitLine("serving " + SmallModels.NAME + "/" + version + " ");
    CheckedCalls calls =
        new CheckedCalls(sampler.channel(), CALLERS, DEADLINE_MILLIS, models::images);
    calls.awaitAnswer();
    return calls;
  }

  private static void requireAllAnswered(FaultRow row, CheckedCalls calls)
      throws InterruptedException {
    calls.end();
    assertThat(calls.wrong()).isEmpty();
    assertThat(calls.codes()).containsOnlyKeys(Status.Code.OK);
    row.result("%d calls", calls.answered());
  }

  private static void pin(Service sampler, long version) {
    var unused =
        SamplerServiceGrpc.newBlockingStub(sampler.channel())
            .setServingVersion(
                SetServingVersionRequest.newBuilder()
                    .setModel(SmallModels.NAME)
                    .setVersion(version)
                    .build());
  }

  private static void fails(List<String> command) throws IOException, InterruptedException {
    try (Program program = Program.start(folder, command)) {
      assertThat(program.awaitExit()).as(program.output()).isEqualTo(1);
      assertThat(program.output()).contains("No space left").doesNotContain("\tat ");
    }
  }

  private static List<String> withLast(List<String> command, String last) {
    List<String> all = new ArrayList<>(command);
    all.set(all.size() - 1, last);
    return all;
  }

  /** Lets the next reads come from the disk. */
  private static void dropCaches() throws IOException, InterruptedException {
    String unused =
        Program.run(Path.of("."), List.of("sh", "-c", "sync; echo 1 > /proc/sys/vm/drop_caches"));
  }
}
