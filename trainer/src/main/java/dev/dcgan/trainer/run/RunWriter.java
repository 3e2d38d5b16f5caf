package dev.dcgan.trainer.run;

import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import java.util.List;
import java.util.function.Consumer;

/** Writes a run's events and state with {@link BestEffort}. For one thread. */
public final class RunWriter {

  private final RunRecord record;
  private final BestEffort bestEffort;

  public RunWriter(RunRecord record, BestEffort bestEffort) {
    this.record = record;
    this.bestEffort = bestEffort;
  }

  public RunRecord record() {
    return record;
  }

  /** The run as it is now. */
  public Run run() {
    return record.run();
  }

  public void event(RunEvent.Builder event) {
    bestEffort.attempt("event", () -> record.event(event));
  }

  /** Changes run.json, and lists the checkpoints that are kept now. */
  public void update(Consumer<Run.Builder> change) {
    bestEffort.attempt(
        "run_state",
        () -> {
          List<String> kept =
              record.folder().keptCheckpoints(record.run()).files().stream()
                  .map(file -> file.getFileName().toString())
                  .toList();
          record.update(
              run -> {
                run.clearCheckpoints().addAllCheckpoints(kept);
                change.accept(run);
              });
        });
  }
}
