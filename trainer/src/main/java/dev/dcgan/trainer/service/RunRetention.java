package dev.dcgan.trainer.service;

import com.google.protobuf.util.Timestamps;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.trainer.run.RunDirectory;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.Run;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Removes ended runs: those beyond a number, and those that ended too long ago. A run that is
 * locked, read, published or watched stays until the next time. For one thread at a time.
 *
 * @param keepRuns the newest ended runs that are kept; empty: all
 * @param keepDays the days that an ended run is kept; empty: for ever
 */
record RunRetention(
    RunStore store,
    RunRecords records,
    InstantSource clock,
    OptionalInt keepRuns,
    OptionalInt keepDays,
    RunStateMetrics metrics) {

  private static final Logger log = LoggerFactory.getLogger(RunRetention.class);

  boolean isOn() {
    return keepRuns.isPresent() || keepDays.isPresent();
  }

  /** Removes what exceeds the limits now; failures are logged. */
  void apply() {
    try {
      Instant oldest = clock.instant().minus(Duration.ofDays(keepDays.orElse(0)));
      int ended = 0;
      for (RunDirectory folder : store.list()) {
        Run run = readEnded(folder);
        if (run == null) {
          continue;
        }
        ended++;
        boolean beyond = keepRuns.isPresent() && ended > keepRuns.getAsInt();
        boolean old = keepDays.isPresent() && end(run).isBefore(oldest);
        if (beyond || old) {
          remove(folder, run, beyond ? "--keep-runs" : "--keep-days");
        }
      }
    } catch (IOException | RuntimeException e) {
      log.error("cannot remove old runs", e);
    }
  }

  private void remove(RunDirectory folder, Run run, String why) {
    try {
      if (records.remove(store, folder)) {
        metrics.removed(run.getState());
        log.info("removed run {}: state={} {}", folder.id(), RunRecord.name(run.getState()), why);
      }
    } catch (IOException e) {
      log.warn("cannot remove run {}: {}", folder.id(), ErrorMessages.oneLine(e));
    }
  }

  /** An ended run; null if it has not ended, or cannot be read: then it stays. */
  private static @Nullable Run readEnded(RunDirectory folder) {
    try {
      Run run = folder.read();
      return RunRecord.isEnd(run.getState()) ? run : null;
    } catch (IOException e) {
      log.debug("run {} stays", folder.id(), e);
      return null;
    }
  }

  private static Instant end(Run run) {
    return Instant.ofEpochMilli(
        Timestamps.toMillis(run.hasEnded() ? run.getEnded() : run.getCreated()));
  }
}
