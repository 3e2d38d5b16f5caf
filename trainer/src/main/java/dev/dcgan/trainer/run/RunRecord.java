package dev.dcgan.trainer.run;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The only writer of a run's run.json and metrics.jsonl in this process.
 *
 * <p>Thread-safe: any thread may write, read and listen. Most writes come from the training thread;
 * other threads end a queued run or record a publication. Listeners are called on the writing
 * thread and must not block.
 */
public final class RunRecord implements AutoCloseable {

  private static final Logger logger = LoggerFactory.getLogger(RunRecord.class);

  private final RunDirectory folder;
  private final InstantSource clock;
  private final EventLog log;
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();

  // Mutable state
  @GuardedBy("this") private Run run;

  @GuardedBy("this") private boolean unwritten;

  @GuardedBy("this") private boolean stateEventMissing;

  private RunRecord(RunDirectory folder, Run run, EventLog log, InstantSource clock) {
    this.folder = folder;
    this.run = run;
    this.log = log;
    this.clock = clock;
  }

  public static RunRecord open(RunDirectory folder, InstantSource clock) throws IOException {
    return new RunRecord(folder, folder.read(), EventLog.open(folder.events()), clock);
  }

  public RunDirectory folder() {
    return folder;
  }

  public synchronized Run run() {
    return run;
  }

  public static boolean isEnd(RunState state) {
    return switch (state) {
      case RUN_STATE_SUCCEEDED, RUN_STATE_FAILED, RUN_STATE_STOPPED -> true;
      default -> false;
    };
  }

  /** The state without its prefix, {@code SUCCEEDED}. */
  public static String name(RunState state) {
    return state.name().substring("RUN_STATE_".length());
  }

  public boolean hasEnded() {
    return isEnd(run().getState());
  }

  /** Sets the progress in memory; the next {@link #update} writes it to disk. */
  public synchronized void progress(Progress progress) {
    run = run.toBuilder().setProgress(progress).build();
  }

  /**
   * Changes the run and run.json.
   *
   * @throws IOException run.json is unchanged; the run in memory has changed nonetheless
   */
  public synchronized void update(Consumer<Run.Builder> change) throws IOException {
    Run.Builder changed = run.toBuilder();
    change.accept(changed);
    run = changed.build();
    unwritten = true;
    folder.write(run);
    unwritten = false;
  }

  /** Whether the last {@link #update} is not on disk. */
  public synchronized boolean isUnwritten() {
    return unwritten;
  }

  /**
   * Changes the state, on disk and as an event.
   *
   * @throws IOException run.json is unchanged; the run in memory has changed nonetheless
   * @throws IllegalStateException the run has ended, which is final
   */
  public synchronized void state(RunState state, String reason) throws IOException {
    if (isEnd(run.getState())) {
      throw new IllegalStateException(
          "run %s is %s; it cannot become %s".formatted(folder.id(), run.getState(), state));
    }
    try {
      update(
          changed -> {
            changed.setState(state).setReason(reason);
            if (state == RunState.RUN_STATE_RUNNING && !changed.hasStarted()) {
              changed.setStarted(now());
            } else if (isEnd(state)) {
              changed.setEnded(now());
            }
          });
    } finally {
      // Under the lock too: whoever sees that the run has ended finds the event.
      stateEvent(state, reason);
    }
  }

  /**
   * Writes what the last {@link #update} and its event could not.
   *
   * @throws IOException run.json is unchanged
   */
  public synchronized void rewrite() throws IOException {
    folder.write(run);
    unwritten = false;
    if (stateEventMissing) {
      stateEvent(run.getState(), run.getReason());
    }
  }

  /**
   * Ends a run that is not training, as STOPPED: in memory and on disk, or not at all.
   *
   * @throws IOException run.json cannot be written; nothing has changed
   */
  public synchronized void stop(String reason) throws IOException {
    Run stopped =
        run.toBuilder()
            .setState(RunState.RUN_STATE_STOPPED)
            .setReason(reason)
            .setEnded(now())
            .build();
    folder.write(stopped);
    run = stopped;
    unwritten = false;
    stateEvent(RunState.RUN_STATE_STOPPED, reason);
  }

  /**
   * Makes a run that SUCCEEDED RUNNING again, to train it to more epochs.
   *
   * @throws IOException run.json cannot be written; nothing has changed
   */
  public synchronized void extend(int epochs) throws IOException {
    Run.Builder changed = run.toBuilder();
    changed.getConfigBuilder().setEpochs(epochs);
    if (run.getState() == RunState.RUN_STATE_SUCCEEDED) {
      changed.setState(RunState.RUN_STATE_RUNNING).clearReason().clearEnded();
    }
    Run extended = changed.build();
    folder.write(extended);
    boolean reopened = extended.getState() != run.getState();
    run = extended;
    unwritten = false;
    if (reopened) {
      stateEvent(RunState.RUN_STATE_RUNNING, "continued to %d epochs".formatted(epochs));
    }
  }

  /** Adds the event of a state; without room it is missing, but listeners hear of the state. */
  @GuardedBy("this") private void stateEvent(RunState state, String reason) {
    stateEventMissing = true;
    try {
      event(
          RunEvent.newBuilder()
              .setStateChanged(
                  RunEvent.StateChanged.newBuilder().setState(state).setReason(reason)));
      stateEventMissing = false;
    } catch (IOException e) {
      logger.warn(
          "cannot write the event of run {} {}: {}",
          folder.id(),
          name(state),
          ErrorMessages.oneLine(e));
      listeners.forEach(Runnable::run);
    }
  }

  /** Appends an event with the current time. */
  public void event(RunEvent.Builder event) throws IOException {
    log.append(JsonFormat.printer().omittingInsignificantWhitespace().print(event.setTime(now())));
    listeners.forEach(Runnable::run);
  }

  /** At most {@code max} events from {@code index} on. */
  public List<RunEvent> events(long index, int max) throws IOException {
    List<RunEvent> events = new ArrayList<>();
    for (String line : log.read(index, max)) {
      RunEvent.Builder event = RunEvent.newBuilder();
      try {
        JsonFormat.parser().ignoringUnknownFields().merge(line, event);
      } catch (InvalidProtocolBufferException e) {
        throw new IOException(
            "%s, line %d is damaged: %s"
                .formatted(folder.events(), index + events.size() + 1, e.getMessage()),
            e);
      }
      events.add(event.setIndex(index + events.size()).build());
    }
    return events;
  }

  /** Calls {@code listener} after each event, until {@link #removeListener}. */
  public void addListener(Runnable listener) {
    listeners.add(listener);
  }

  public void removeListener(Runnable listener) {
    listeners.remove(listener);
  }

  private Timestamp now() {
    return Timestamps.fromMillis(clock.instant().toEpochMilli());
  }

  @Override
  public void close() throws IOException {
    log.close();
  }
}
