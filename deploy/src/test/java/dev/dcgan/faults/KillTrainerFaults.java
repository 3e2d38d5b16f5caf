package dev.dcgan.faults;

import static dev.dcgan.faults.Repositories.requireModel;
import static dev.dcgan.faults.Repositories.requireWhole;
import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.e2e.Program;
import dev.dcgan.faults.FaultSettings.TimeBudget;
import dev.dcgan.trainer.checkpoint.CheckpointFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Kills trainers. The same seed must give the same model, byte for byte, however often. */
@ExtendWith(FaultTable.class)
class KillTrainerFaults {

  @TempDir private static Path folder;

  @Test
  @DisplayName("kill -9: trainer train --run")
  void train(FaultRow row) throws Exception {
    row.checked("checkpoints whole, never fewer steps; the model published once, same bytes");
    long start = System.nanoTime();
    Programs.run(folder, training("undisturbed"));
    Duration lifetime = Duration.ofNanos(System.nanoTime() - start);
    byte[] model = Repositories.model(folder.resolve("undisturbed/models"), "mnist28", 1);
    Random random = FaultSettings.random("train");

    int runs = 0;
    for (TimeBudget budget = FaultSettings.budget(0.12); budget.isLeft(); runs++) {
      Path killed = folder.resolve("killed-" + runs);
      Killer killer = new Killer(random, lifetime, killed);
      Path run = killed.resolve("runs/run");
      long step = -1;
      while (true) {
        try (Program trainer = Program.start(folder, training(killed.getFileName().toString()))) {
          if (!killer.kill(trainer)) {
            assertThat(trainer.awaitExit()).as(trainer.output()).isZero();
            break;
          }
        }
        row.count();
        long newest = newestStep(run.resolve("checkpoints"));
        assertThat(newest).as("steps after kill %d", row.times()).isGreaterThanOrEqualTo(step);
        step = newest;
        assertThat(requireWhole(killed.resolve("models"), "mnist28")).isSubsetOf(1L);
      }
      assertThat(requireWhole(killed.resolve("models"), "mnist28")).containsExactly(1L);
      requireModel(killed.resolve("models"), "mnist28", 1, model);
      assertThat(Repositories.leftovers(killed)).isEmpty();
    }
    row.result("%d runs", runs);
  }

  private static List<String> training(String parent) {
    return Programs.smallTraining(
        "--run=run", "--runs=" + parent + "/runs", "--repository=" + parent + "/models");
  }

  /** The step of the newest checkpoint, after reading all; -1: there is none. */
  private static long newestStep(Path checkpoints) throws IOException {
    long newest = -1;
    if (Files.isDirectory(checkpoints)) {
      try (Stream<Path> entries = Files.list(checkpoints)) {
        List<Path> files = new ArrayList<>(entries.toList());
        files.removeIf(file -> file.getFileName().toString().startsWith("."));
        for (Path file : files) {
          newest = Math.max(newest, CheckpointFile.read(file).step());
        }
      }
    }
    return newest;
  }
}
