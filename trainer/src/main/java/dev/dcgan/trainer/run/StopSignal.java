package dev.dcgan.trainer.run;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.io.IOException;
import java.io.InterruptedIOException;
import org.jspecify.annotations.Nullable;

/** The request to end an active run. Thread-safe. */
public final class StopSignal {

  /** What was requested. */
  public enum Request {
    NONE,
    /** Write a checkpoint and leave the run RUNNING on disk: another process continues it. */
    INTERRUPT,
    /** Write a checkpoint and end the run as STOPPED. */
    STOP
  }

  /** Work that leaves nothing behind if it is aborted. */
  @FunctionalInterface
  public interface Work<T> {
    T run() throws IOException;
  }

  // Mutable state
  @GuardedBy("this") private Request requested = Request.NONE;

  @GuardedBy("this") private String reason = "";

  @GuardedBy("this") private @Nullable Thread interruptible;

  // Of the current work. The request does not say it: a stop may have followed the interruption.
  @GuardedBy("this") private boolean interrupted;

  /** Requests that another process continues the run. It has no effect after {@link #stop}. */
  public synchronized void interrupt() {
    if (requested == Request.NONE) {
      requested = Request.INTERRUPT;
      interruptWork();
    }
  }

  /**
   * Does long work on the caller's thread that is repeated when the run is continued. {@link
   * #interrupt} and {@link #stop} interrupt that thread while the work runs, and at no other time.
   *
   * @throws InterruptedIOException the signal came before the work or while it ran
   */
  public <T> T interruptibly(Work<T> work) throws IOException {
    begin();
    try {
      return work.run();
    } catch (IOException e) {
      // Any exception may be the interruption's effect: it closes the file that a thread reads.
      if (isInterrupted()) {
        throw interrupted(e);
      }
      throw e;
    } finally {
      end();
    }
  }

  private synchronized void begin() throws InterruptedIOException {
    if (requested != Request.NONE) {
      throw interrupted(null);
    }
    interruptible = Thread.currentThread();
  }

  private synchronized void end() {
    interruptible = null;
    if (interrupted) {
      interrupted = false;
      // A checkpoint is written next, and an interrupted thread cannot write it.
      var unused = Thread.interrupted();
    }
  }

  private synchronized boolean isInterrupted() {
    return interrupted;
  }

  private static InterruptedIOException interrupted(@Nullable IOException cause) {
    InterruptedIOException e = new InterruptedIOException("interrupted");
    e.initCause(cause);
    return e;
  }

  /** Requests that the run ends for good. The first reason counts. */
  public synchronized void stop(String why) {
    if (requested != Request.STOP) {
      requested = Request.STOP;
      reason = why;
      interruptWork();
    }
  }

  @GuardedBy("this") private void interruptWork() {
    // A second request would interrupt the thread after the work has cleared its flag.
    if (interruptible != null && !interrupted) {
      interrupted = true;
      interruptible.interrupt();
    }
  }

  public synchronized Request requested() {
    return requested;
  }

  /** Why the run is to stop; empty unless STOP was requested. */
  public synchronized String reason() {
    return reason;
  }
}
