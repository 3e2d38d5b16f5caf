package dev.dcgan.trainer.run;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import dev.dcgan.model.JsonLimits;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
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

  /**
   * Events of a run.
   *
   * @param next the index from which to read on; lines that cannot be read are skipped
   */
  public record Events(List<RunEvent> list, long next) {}

  private static final Logger logger = LoggerFactory.getLogger(RunRecord.class);
  private static final int MAX_MISSING = 1000;
  private static final int MAX_NAMED = 10_000;
  // Lines that were logged as unreadable.
  private static final Set<String> named = ConcurrentHashMap.newKeySet();

  private final RunDirectory folder;
  private final InstantSource clock;
  private final EventLog log;
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();

  // Mutable state
  @GuardedBy("this") private Run run;

  @GuardedBy("this") private boolean unwritten;

  /** Events that could not be written, as on a full disk: one line of JSON each. */
  @GuardedBy("this") private final Deque<String> missing = new ArrayDeque<>();

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

  /** Whether the last {@link #update} or an event is not on disk. */
  public synchronized boolean isUnwritten() {
    return unwritten || !missing.isEmpty();
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
   * Writes what the last {@link #update} and earlier events could not.
   *
   * @throws IOException some of it is still missing
   */
  public synchronized void rewrite() throws IOException {
    folder.write(run);
    unwritten = false;
    appendMissing();
    listeners.forEach(Runnable::run);
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
    try {
      event(
          RunEvent.newBuilder()
              .setStateChanged(
                  RunEvent.StateChanged.newBuilder().setState(state).setReason(reason)));
    } catch (IOException e) {
      logger.warn(
          "cannot write the event of run {} {}: {}",
          folder.id(),
          name(state),
          ErrorMessages.oneLine(e));
      listeners.forEach(Runnable::run);
    }
  }

  /**
   * Appends an event with the current time.
   *
   * @throws IOException it was not written; a later event or {@link #rewrite} writes it first
   */
  public void event(RunEvent.Builder event) throws IOException {
    String line =
        JsonFormat.printer().omittingInsignificantWhitespace().print(event.setTime(now()));
    synchronized (this) {
      if (!log.accepts(line)) {
        throw new IOException(
            "cannot append an event of %d characters: it or %s is too long"
                .formatted(line.length(), folder.events()));
      }
      if (missing.size() == MAX_MISSING) {
        missing.removeFirst();
      }
      missing.addLast(line);
      appendMissing();
    }
    listeners.forEach(Runnable::run);
  }

  @GuardedBy("this") private void appendMissing() throws IOException {
    for (String line = missing.peek(); line != null; line = missing.peek()) {
      log.append(line);
      missing.remove();
    }
  }

  /** The events of at most {@code max} lines from {@code index} on. */
  public Events events(long index, int max) throws IOException {
    List<RunEvent> events = new ArrayList<>();
    long next = index;
    for (String line : log.read(index, max)) {
      try {
        events.add(parse(line).setIndex(next).build());
      } catch (InvalidProtocolBufferException e) {
        skipped(next + 1, e);
      }
      next++;
    }
    return new Events(events, next);
  }

  /** The event in a line of metrics.jsonl. */
  static RunEvent.Builder parse(String line) throws InvalidProtocolBufferException {
    Optional<String> problem = JsonLimits.problem(line.getBytes(StandardCharsets.UTF_8));
    if (problem.isPresent()) {
      throw new InvalidProtocolBufferException("it has " + problem.get());
    }
    RunEvent.Builder event = RunEvent.newBuilder();
    JsonFormat.parser().ignoringUnknownFields().merge(line, event);
    return event;
  }

  private void skipped(long number, InvalidProtocolBufferException cause) {
    String line = "%s, line %d".formatted(folder.events(), number);
    if (named.size() < MAX_NAMED && named.add(line)) {
      logger.warn("skipping {}: it is damaged or too long: {}", line, ErrorMessages.oneLine(cause));
    }
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
