package dev.dcgan.trainer.service;

import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The run of {@code trainer train}, once it is known. Thread-safe. */
final class SingleRun implements RunSource {

  private final RunRecords records;

  // Mutable state
  private volatile @Nullable RunRecord record;

  /** No run yet. */
  SingleRun(RunRecords records) {
    this.records = records;
  }

  void show(RunRecord run) {
    record = run;
  }

  @Override
  public Page list(int size, String after) {
    RunRecord run = record;
    return new Page(run == null || !after.isEmpty() ? List.of() : List.of(run.run()), "");
  }

  @Override
  public Run get(String id) throws RequestException {
    return find(id).run();
  }

  @Override
  public RunRecords.Hold watch(String id) throws RequestException, IOException {
    return records.share(find(id).folder());
  }

  @Override
  public RunDirectory folder(String id) throws RequestException {
    return find(id).folder();
  }

  private RunRecord find(String id) throws RequestException {
    RunRecord run = record;
    if (run == null || !run.folder().id().equals(id)) {
      throw new RequestException(Why.NOT_FOUND, "there is no run '" + id + "'");
    }
    return run;
  }
}
