package dev.dcgan.trainer.session;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.io.IOException;
import java.io.InterruptedIOException;
import org.jspecify.annotations.Nullable;

/** How a run under way is asked to end. Thread-safe. */
public final class StopSignal {

  public enum Ask {
    NONE,
    /** Keep a checkpoint and stay RUNNING on the disk: the run goes on in another process. */
    INTERRUPT,
    /** Keep a checkpoint and end as STOPPED. */
    STOP
  }

  /** Work that leaves nothing behind where it is broken off. */
  @FunctionalInterface
  interface Work<T> {
    T run() throws IOException;
  }

  // Mutable state
  @GuardedBy("this") private Ask asked = Ask.NONE;

  @GuardedBy("this") private String reason = "";

  @GuardedBy("this") private @Nullable Thread interruptible;

  // Of the work under way. Not to be told by what was asked: a stop may have followed.
  @GuardedBy("this") private boolean interrupted;

  /** Asks to go on in another process; where it was asked to stop already, it stops. */
  public synchronized void interrupt() {
    if (asked == Ask.NONE) {
      asked = Ask.INTERRUPT;
      if (interruptible != null) {
        interrupted = true;
        interruptible.interrupt();
      }
    }
  }

  /**
   * Does, on the caller's thread, what takes long and comes again when the run goes on: {@link
   * #interrupt} interrupts that thread meanwhile, and no longer.
   *
   * @throws InterruptedIOException interrupted, before or meanwhile
   */
  <T> T interruptibly(Work<T> work) throws IOException {
    begin();
    try {
      return work.run();
    } catch (IOException e) {
      // Whatever it says: files are closed under a thread that is interrupted.
      if (isInterrupted()) {
        throw interrupted(e);
      }
      throw e;
    } finally {
      end();
    }
  }

  private synchronized void begin() throws InterruptedIOException {
    if (asked == Ask.INTERRUPT) {
      throw interrupted(null);
    }
    interruptible = Thread.currentThread();
  }

  private synchronized void end() {
    interruptible = null;
    if (interrupted) {
      interrupted = false;
      // What follows keeps a checkpoint: an interrupted thread could not write it.
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

  /** Asks to stop, for good; the first reason counts. */
  public synchronized void stop(String why) {
    if (asked != Ask.STOP) {
      asked = Ask.STOP;
      reason = why;
    }
  }

  public synchronized Ask asked() {
    return asked;
  }

  public synchronized String reason() {
    return reason;
  }
}
