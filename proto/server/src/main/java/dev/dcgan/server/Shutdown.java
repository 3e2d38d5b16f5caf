package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Shuts a program down gracefully on SIGTERM or SIGINT, or when a component requests it.
 *
 * <p>The signal releases {@link #await} and runs the action. The caller then drains and returns its
 * exit code: 0, or {@link #TRY_AGAIN} if the program must be started again. Signals within {@link
 * #REPEATED} of the first are ignored, because supervisors and shell wrappers often both send one;
 * a later one terminates the process immediately. The class uses {@code sun.misc.Signal}, by
 * reflection because javac warns about that API. A shutdown hook could set the exit code only by
 * halting the JVM, which would leave behind every file that is marked for deletion on exit, such as
 * unpacked native libraries.
 */
public final class Shutdown {

  /**
   * The exit code of a job that was stopped before its completion, EX_TEMPFAIL of sysexits.h. A job
   * scheduler would take exit code 0 for success.
   */
  public static final int TRY_AGAIN = 75;

  private static final Logger log = LoggerFactory.getLogger(Shutdown.class);
  private static final List<String> SIGNALS = List.of("TERM", "INT");
  // The exit code that a shell reports for a process terminated by SIGTERM.
  private static final int TERMINATED = 143;

  /** Signals that follow the first one within this time are ignored. */
  static final Duration REPEATED = Duration.ofSeconds(5);

  private final Runnable action;
  private final LongSupplier nanoTime;
  private final Runnable halt;
  private final CountDownLatch requested = new CountDownLatch(1);

  // Mutable state
  @GuardedBy("this") private @Nullable Long first;

  Shutdown(Runnable action, LongSupplier nanoTime, Runnable halt) {
    this.action = action;
    this.nanoTime = nanoTime;
    this.halt = halt;
  }

  /** Handles SIGTERM and SIGINT for the rest of the process's life. */
  public static Shutdown onSignal() {
    return onSignal(() -> {});
  }

  /** As {@link #onSignal()}. The first signal runs {@code action} on a JVM thread. */
  public static Shutdown onSignal(Runnable action) {
    Shutdown shutdown =
        new Shutdown(action, System::nanoTime, () -> Runtime.getRuntime().halt(TERMINATED));
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object signalHandler =
          Proxy.newProxyInstance(
              Shutdown.class.getClassLoader(),
              new Class<?>[] {handler},
              (proxy, method, arguments) -> {
                shutdown.signalled();
                return null;
              });
      for (String name : SIGNALS) {
        signal
            .getMethod("handle", signal, handler)
            .invoke(null, signal.getConstructor(String.class).newInstance(name), signalHandler);
      }
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("cannot handle signals on this JVM", e);
    }
    return shutdown;
  }

  /** Releases {@link #await} without the action, for example because a component failed. */
  public void request() {
    requested.countDown();
  }

  /** Waits for the first signal or {@link #request}. */
  public void await() throws InterruptedException {
    requested.await();
  }

  /**
   * Exits the process. Shutdown code of the JVM may block on a device that no longer responds, so
   * the process is halted after {@code limit}.
   */
  public static void exit(int code, Duration limit) {
    Threads.named("exit")
        .newThread(
            () -> {
              try {
                TimeUnit.NANOSECONDS.sleep(limit.toNanos());
              } catch (InterruptedException e) {
                // No code interrupts this thread. An interrupt would halt the JVM immediately.
              }
              Runtime.getRuntime().halt(code);
            })
        .start();
    System.exit(code);
  }

  void signalled() {
    long now = nanoTime.getAsLong();
    boolean again;
    synchronized (this) {
      again = first != null;
      if (first == null) {
        first = now;
      } else if (now - first >= REPEATED.toNanos()) {
        halt.run();
      }
    }
    if (again) {
      log.info(
          "ignored another signal within {} s of the first; a later one terminates the process",
          REPEATED.toSeconds());
      return;
    }
    requested.countDown();
    action.run();
  }
}
