package dev.dcgan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.faults.FaultSettings.TimeBudget;
import dev.dcgan.v1.Run;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Kills the trainer's service while clients start runs and it trains them. */
@ExtendWith(FaultTable.class)
class KillTrainerServiceFaults {

  @TempDir private static Path folder;

  @Test
  @DisplayName("kill -9: trainer serve")
  void serve(FaultRow row) throws Exception {
    row.checked(
        "no acknowledged run lost, none started twice; each publishes once, same bytes; events complete");
    Programs.run(folder, Programs.smallTraining("--runs=r", "--repository=undisturbed"));
    byte[] model = Repositories.model(folder.resolve("undisturbed"), "mnist28", 1);
    Random random = FaultSettings.random("serve");
    Killer killer = new Killer(random, Duration.ofSeconds(3), folder.resolve("runs"));
    Map<String, String> acknowledged = new LinkedHashMap<>(); // Request id to run.

    for (TimeBudget budget = FaultSettings.budget(0.12); budget.isLeft(row.times()); row.count()) {
      try (Service trainer = start()) {
        requireKnown(trainer, acknowledged);
        // The kill may take its answer away; then the next process is asked again.
        boolean asks = acknowledged.isEmpty() || random.nextInt(3) == 0;
        Thread client =
            new Thread(
                () -> {
                  if (asks) {
                    request(trainer, acknowledged);
                  }
                },
                "client");
        client.start();
        boolean killed = killer.kill(trainer.program());
        assertThat(killed).as("the service ended:\n" + trainer.program().output()).isTrue();
        trainer.channel().shutdownNow();
        client.join();
      }
    }

    try (Service trainer = start()) {
      request(trainer, acknowledged);
      requireKnown(trainer, acknowledged);
      for (String run : acknowledged.values()) {
        TrainerRuns.awaitSuccess(trainer.channel(), run);
        TrainerRuns.requireComplete(trainer.channel(), folder.resolve("models"), run, model);
      }
      assertThat(trainer.metric("trainer_runs")).as("runs").isEqualTo(acknowledged.size());
    }
    row.result("%d runs, %d leftovers", acknowledged.size(), Repositories.leftovers(folder).size());
  }

  private static Service start() throws Exception {
    return Service.trainer(folder, "--max-attempts=1000");
  }

  private static void request(Service trainer, Map<String, String> acknowledged) {
    String id = "run-" + acknowledged.size();
    try {
      acknowledged.put(id, TrainerRuns.start(trainer.channel(), id).getId());
    } catch (StatusRuntimeException e) {
      // The service was killed before it answered.
    }
  }

  private static void requireKnown(Service trainer, Map<String, String> acknowledged) {
    acknowledged.forEach(
        (request, id) -> {
          Run run = TrainerRuns.get(trainer.channel(), id);
          assertThat(run.getRequestId()).isEqualTo(request);
          assertThat(TrainerRuns.start(trainer.channel(), request).getId()).isEqualTo(id);
        });
  }
}
