package dev.dcgan.sampler.scheduling;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.Threads;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether the device that runs the networks still works.
 *
 * <p>After most faults of a GPU the CUDA context of the process stays broken: every later call
 * fails, and only a new process can use the device. So the loss of a device is final. It is
 * reported by whoever sees it: a batch that failed, a batch that does not return, a load that
 * failed. The first report is logged in one line. The listener, which ends the process, then runs
 * once, on its own thread, because reporters hold locks.
 *
 * <p>Thread-safe; no method blocks.
 */
public final class DeviceHealth {

  /**
   * The exit code of a process that has lost its device: EX_UNAVAILABLE of sysexits.h. A supervisor
   * should restart it.
   */
  public static final int EXIT_CODE = 69;

  private static final Logger log = LoggerFactory.getLogger(DeviceHealth.class);

  // Mutable state
  @GuardedBy("this") private @Nullable Consumer<String> listener;

  // Written under the lock; read by every run.
  private volatile @Nullable String lost;

  /** Sets what to do when the device is lost; it runs at once if the device is lost already. */
  public void onLost(Consumer<String> listener) {
    String reason;
    synchronized (this) {
      this.listener = listener;
      reason = lost;
    }
    if (reason != null) {
      start(listener, reason);
    }
  }

  /**
   * Reports that the device no longer works.
   *
   * @param reason one line: what was seen
   */
  public void reportLost(String reason) {
    Consumer<String> current;
    synchronized (this) {
      if (lost != null) {
        return;
      }
      lost = reason;
      current = listener;
    }
    log.error("the device is lost: {}", reason);
    if (current != null) {
      start(current, reason);
    }
  }

  public boolean isLost() {
    return lost != null;
  }

  /** The reason in one line; empty: the device works. */
  public Optional<String> whyLost() {
    return Optional.ofNullable(lost);
  }

  private static void start(Consumer<String> listener, String reason) {
    Threads.named("device-lost").newThread(() -> listener.accept(reason)).start();
  }
}
