package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.e2e.Program;
import dev.dcgan.faults.FaultSettings.TimeBudget;
import dev.dcgan.v1.Run;
import io.grpc.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Suspends both programs under load with SIGSTOP, as the freezer of a container does. */
@ExtendWith(FaultTable.class)
class SuspendFaults {

  private static final int CALLERS = 8;
  private static final int DEADLINE_MILLIS = 1500;
  private static final int MAX_PAUSE_MILLIS = 2500;
  // Beyond the time that a client has to read a response.
  private static final int LONG_PAUSE_MILLIS = 36_000;
  private static final int FEW_STEPS = 20;

  @TempDir private static Path folder;

  @Test
  @DisplayName("SIGSTOP and SIGCONT: both under load")
  void suspend(FaultRow row) throws Exception {
    row.checked(
        "deadlines expire at the client; later all answered, same bytes; no work left; the run as undisturbed");
    SmallModels models = SmallModels.train(folder);
    Programs.run(
        folder, Programs.smallTraining("--runs=undisturbed-runs", "--repository=undisturbed"));
    byte[] trained = Repositories.model(folder.resolve("undisturbed"), "mnist28", 1);
    Path repository = Files.createDirectories(folder.resolve("served"));
    models.publish(repository);
    Random random = FaultSettings.random("suspend");

    // Batches that take longer than this count as hung: suspended ones must not.
    try (Service sampler =
            Service.sampler(folder, "--repository=" + repository, "--batch-timeout=1s");
        Service trainer = Service.trainer(folder, "--repository=trained-by-service")) {
      sampler.program().awaitLine("serving " + SmallModels.NAME + "/1 ");
      List<Program> both = List.of(sampler.program(), trainer.program());
      try (CheckedCalls calls =
              new CheckedCalls(sampler.channel(), CALLERS, DEADLINE_MILLIS, models::images);
          CheckedCalls patient =
              new CheckedCalls(sampler.channel(), 4, 2L * LONG_PAUSE_MILLIS, models::images)) {
        int runs = 0;
        String run = TrainerRuns.start(trainer.channel(), "run-" + runs++).getId();
        TimeBudget budget = FaultSettings.budget(0.1);
        for (int pause = LONG_PAUSE_MILLIS; ; pause = random.nextInt(MAX_PAUSE_MILLIS)) {
          calls.awaitAnswer();
          suspend(both, pause);
          row.count();
          calls.awaitAnswer();
          patient.awaitAnswer();
          awaitProgress(trainer, run);
          if (TrainerRuns.get(trainer.channel(), run).hasEnded()) {
            if (!budget.isLeft()) {
              break;
            }
            run = TrainerRuns.start(trainer.channel(), "run-" + runs++).getId();
          }
        }
        calls.end();
        patient.end();
        assertThat(calls.wrong()).isEmpty();
        assertThat(patient.wrong()).isEmpty();
        assertThat(calls.codes()).containsOnlyKeys(Status.Code.OK, Status.Code.DEADLINE_EXCEEDED);
        assertThat(patient.codes()).containsOnlyKeys(Status.Code.OK);
        row.result("calls %s, patient ones %s", calls.codes(), patient.codes());
        for (int i = 0; i < runs; i++) {
          String id = TrainerRuns.start(trainer.channel(), "run-" + i).getId();
          TrainerRuns.awaitSuccess(trainer.channel(), id);
          TrainerRuns.requireComplete(
              trainer.channel(), folder.resolve("trained-by-service"), id, trained);
        }
        row.result("%d runs", runs);
      }
      for (String work :
          List.of("sampler_queued_images", "sampler_response_bytes", "grpc_server_in_flight")) {
        Service.await("end of " + work, () -> sampler.metric(work) == 0);
      }
      assertThat(sampler.program().output()).doesNotContain("ERROR");
      assertThat(trainer.program().output()).doesNotContain("ERROR");
    }
  }

  /** Waits until the run has done a few steps since now, or has ended. */
  private static void awaitProgress(Service trainer, String id) throws Exception {
    Run before = TrainerRuns.get(trainer.channel(), id);
    Service.await(
        "progress of run " + id,
        () -> {
          Run now = TrainerRuns.get(trainer.channel(), id);
          return now.hasEnded()
              || now.getProgress().getStep() > before.getProgress().getStep() + FEW_STEPS;
        });
  }

  private static void suspend(List<Program> programs, int millis) throws Exception {
    for (Program program : programs) {
      program.signal("STOP");
    }
    TimeUnit.MILLISECONDS.sleep(millis); // The length of the fault.
    for (Program program : programs) {
      program.signal("CONT");
    }
  }
}
