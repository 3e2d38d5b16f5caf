package dev.dcgan.trainer;

import com.google.errorprone.annotations.concurrent.GuardedBy;

/** How a run under way is asked to end. Thread-safe. */
final class RunControl {

  enum Ask {
    NONE,
    /** Keep a checkpoint and stay RUNNING on the disk: the run goes on in another process. */
    INTERRUPT,
    /** Keep a checkpoint and end as STOPPED. */
    STOP
  }

  // Mutable state
  @GuardedBy("this") private Ask asked = Ask.NONE;

  @GuardedBy("this") private String reason = "";

  /** Asks to go on in another process; where it was asked to stop already, it stops. */
  synchronized void interrupt() {
    if (asked == Ask.NONE) {
      asked = Ask.INTERRUPT;
    }
  }

  /** Asks to stop, for good; the first reason counts. */
  synchronized void stop(String why) {
    if (asked != Ask.STOP) {
      asked = Ask.STOP;
      reason = why;
    }
  }

  synchronized Ask asked() {
    return asked;
  }

  synchronized String reason() {
    return reason;
  }
}
