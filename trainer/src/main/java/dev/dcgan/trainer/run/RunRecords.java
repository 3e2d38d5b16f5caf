package dev.dcgan.trainer.run;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.time.InstantSource;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Shares open records: each is open once and closed with its last hold. Thread-safe. */
public final class RunRecords {

  private static final Logger log = LoggerFactory.getLogger(RunRecords.class);

  private final InstantSource clock;

  // Mutable state
  @GuardedBy("this") private final Map<String, Use> uses = new HashMap<>();

  /** A record, which is opened once, and the number of its holds. */
  private static final class Use {

    // Mutable state
    @GuardedBy("this") private @Nullable RunRecord record;

    int holds; // Guarded by the RunRecords.

    /** Its events may be many: other runs do not wait for this one. */
    synchronized RunRecord open(RunDirectory folder, InstantSource clock) throws IOException {
      if (record == null) {
        record = RunRecord.open(folder, clock);
      }
      return record;
    }
  }

  public RunRecords(InstantSource clock) {
    this.clock = clock;
  }

  /** Keeps a record open; to be closed exactly once. */
  public final class Hold implements AutoCloseable {

    private final RunRecord record;
    private final @Nullable RunLock lock;

    private Hold(RunRecord record, @Nullable RunLock lock) {
      this.record = record;
      this.lock = lock;
    }

    public RunRecord record() {
      return record;
    }

    @Override
    public void close() {
      release(record);
      if (lock != null) {
        unlock(lock);
      }
    }
  }

  /** Opens a record to read it, or to write to a run that this process has locked. */
  public Hold share(RunDirectory folder) throws IOException {
    return new Hold(acquire(folder), null);
  }

  /**
   * Locks a run and opens its record.
   *
   * @return empty if the run is locked already, by another process or by this one
   */
  public Optional<Hold> lock(RunDirectory folder) throws IOException {
    Optional<RunLock> lock = folder.tryLock();
    if (lock.isEmpty()) {
      return Optional.empty();
    }
    sweep(folder);
    try {
      return Optional.of(new Hold(acquire(folder), lock.get()));
    } catch (IOException | RuntimeException e) {
      unlock(lock.get());
      throw e;
    }
  }

  /**
   * Removes an ended run, unless a process has locked it or this one has opened its record.
   *
   * @return whether it was removed
   */
  public synchronized boolean remove(RunStore store, RunDirectory folder) throws IOException {
    return !uses.containsKey(folder.id()) && store.remove(folder);
  }

  private RunRecord acquire(RunDirectory folder) throws IOException {
    Use use;
    synchronized (this) {
      use = uses.computeIfAbsent(folder.id(), id -> new Use());
      use.holds++;
    }
    try {
      return use.open(folder, clock);
    } catch (IOException | RuntimeException e) {
      synchronized (this) {
        if (--use.holds == 0) {
          uses.remove(folder.id());
        }
      }
      throw e;
    }
  }

  private synchronized void release(RunRecord record) {
    Use use = uses.get(record.folder().id());
    if (use == null || --use.holds > 0) {
      return;
    }
    uses.remove(record.folder().id());
    try {
      record.close();
    } catch (IOException e) {
      log.warn("cannot close the events of {}", record.folder(), e);
    }
  }

  private static void sweep(RunDirectory folder) {
    try {
      int swept = folder.sweep();
      if (swept > 0) {
        log.info("removed {} temporary files of run {} from a killed process", swept, folder.id());
      }
    } catch (IOException e) {
      log.warn(
          "cannot remove temporary files of run {}: {}", folder.id(), ErrorMessages.oneLine(e));
    }
  }

  private static void unlock(RunLock lock) {
    try {
      lock.close();
    } catch (IOException e) {
      log.warn("cannot unlock a run", e);
    }
  }
}
