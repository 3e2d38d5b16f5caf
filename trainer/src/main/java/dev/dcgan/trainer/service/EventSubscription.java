package dev.dcgan.trainer.service;

import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * One watcher of a run: sends it the run's events from an index on, as fast as it takes them, until
 * the run has ended.
 *
 * <p>Nothing waits for a watcher: events are read from the record, a few at a time, when the
 * watcher is ready for them, so a slow one costs no memory and never delays the run. {@link #wake},
 * {@link #cancel} and {@link #close} only take note and may be called by any thread; reading and
 * sending are done on the executor, which must run one task at a time.
 */
final class EventSubscription {

  /** The watcher. Called on the executor. */
  interface Sink {
    /** Whether another event can be sent without being kept in memory. */
    boolean isReady();

    void deliver(RunEvent event);

    /** The run has ended, and all its events were sent. */
    void complete();

    void fail(Exception cause);

    /** The watch has ended in one way or the other; called once, before the watcher hears of it. */
    void ended();
  }

  private static final int EVENTS_AT_ONCE = 64;

  private final RunRecord record;
  private final Executor executor;
  private final Sink sink;
  private final Runnable listener = this::wake;
  private final AtomicBoolean scheduled = new AtomicBoolean();

  // Mutable state
  private volatile boolean cancelled;
  private volatile boolean closing;
  // Of the executor's tasks
  private long next;
  private boolean ended;

  EventSubscription(RunRecord record, long fromIndex, Executor executor, Sink sink) {
    this.record = record;
    this.next = fromIndex;
    this.executor = executor;
    this.sink = sink;
  }

  void start() {
    record.addListener(listener);
    wake();
  }

  /** There may be something to do: an event has come, or the watcher is ready. */
  void wake() {
    if (scheduled.compareAndSet(false, true)) {
      executor.execute(this::run);
    }
  }

  /** Nobody watches any more. */
  void cancel() {
    cancelled = true;
    wake();
  }

  /**
   * The program ends: what is there is sent, of which a watcher that is not ready gets what is sent
   * at once, and nothing more is waited for.
   */
  void close() {
    closing = true;
    wake();
  }

  private void run() {
    // First: what comes from here on is for the next task.
    scheduled.set(false);
    if (ended) {
      return;
    }
    try {
      if (cancelled) {
        end();
      } else if (sink.isReady() || closing) {
        send();
      }
    } catch (IOException | RuntimeException e) {
      if (!ended) {
        end();
      }
      sink.fail(e);
    }
  }

  private void send() throws IOException {
    // Before reading: then the last event is among those read.
    boolean last = record.hasEnded();
    List<RunEvent> events = record.events(next, EVENTS_AT_ONCE);
    for (RunEvent event : events) {
      sink.deliver(event);
    }
    next += events.size();
    if (events.size() == EVENTS_AT_ONCE && (sink.isReady() || !closing)) {
      wake();
    } else if (last) {
      end();
      sink.complete();
    } else if (closing) {
      end();
      sink.fail(RequestException.ending());
    }
  }

  private void end() {
    ended = true;
    record.removeListener(listener);
    sink.ended();
  }
}
