package dev.dcgan.trainer;

import java.util.concurrent.atomic.AtomicReference;

/** How others ask a run under way to end. Thread-safe. */
final class RunControl {

  enum Ask {
    NONE,
    /** Keep a checkpoint and stay RUNNING on the disk: the run goes on in another process. */
    INTERRUPT,
    /** Keep a checkpoint and end as STOPPED. */
    STOP
  }

  private final AtomicReference<Ask> ask = new AtomicReference<>(Ask.NONE);

  /** The greater of two asks counts. */
  void ask(Ask wanted) {
    ask.accumulateAndGet(wanted, (a, b) -> a.compareTo(b) >= 0 ? a : b);
  }

  Ask asked() {
    return ask.get();
  }
}
