package dev.dcgan.trainer.service;

import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.v1.RunEvent;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Sends a subscriber the events of a run from an index on, until the run has ended.
 *
 * <p>Back-pressure: a few events at a time are read from the record when the subscriber is ready,
 * so a slow subscriber costs no memory and never delays the run. {@link #wake}, {@link #cancel} and
 * {@link #close} do not block and may be called by any thread; events are read and sent on the
 * executor, which must run one task at a time.
 */
final class EventSubscription {

  /** The subscriber. Called on the executor. */
  interface Sink {
    /** Whether another event can be sent without buffering it. */
    boolean isReady();

    void deliver(RunEvent event);

    /** The run has ended and all its events were sent. */
    void complete();

    void fail(Exception cause);

    /** The subscription has ended; called once, before {@link #complete} or {@link #fail}. */
    void ended();
  }

  private static final int BATCH_SIZE = 64;

  private final RunRecord record;
  private final Executor executor;
  private final Sink sink;
  private final Runnable listener = this::wake;
  private final AtomicBoolean scheduled = new AtomicBoolean();

  // Mutable state
  private volatile boolean cancelled;
  private volatile boolean closing;
  // Used by the executor's tasks only
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

  /** An event was appended or the subscriber became ready. */
  void wake() {
    if (scheduled.compareAndSet(false, true)) {
      executor.execute(this::run);
    }
  }

  /** The subscriber is gone. */
  void cancel() {
    cancelled = true;
    wake();
  }

  /**
   * The service shuts down: existing events are sent, one batch only to a subscriber that is not
   * ready, and the subscription ends without waiting for more.
   */
  void close() {
    closing = true;
    wake();
  }

  private void run() {
    // First, so that a later wake schedules another task.
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
    // Before reading, so that the last event is among those read.
    boolean last = record.hasEnded();
    RunRecord.Events events = record.events(next, BATCH_SIZE);
    events.list().forEach(sink::deliver);
    boolean more = events.next() == next + BATCH_SIZE;
    next = events.next();
    if (more && (sink.isReady() || !closing)) {
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
