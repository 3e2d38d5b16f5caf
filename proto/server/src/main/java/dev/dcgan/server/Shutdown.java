package dev.dcgan.server;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Ends a program in order on SIGTERM or Ctrl-C, or when a part of it asks for that.
 *
 * <p>The signal releases {@link #await} and runs the action; the caller then drains and returns its
 * exit code: 0 where nobody need start it again, otherwise {@link #TRY_AGAIN}. A second signal ends
 * the process at once. Signals are taken through {@code sun.misc.Signal}, by reflection because
 * javac warns of the name: a shutdown hook could give such an exit code only by halting, which
 * leaves behind every file marked for deletion on exit, such as unpacked native libraries.
 */
public final class Shutdown {

  /**
   * The exit code of a job that was stopped before its end: EX_TEMPFAIL of sysexits.h. Not 0: what
   * schedules jobs would take it for done.
   */
  public static final int TRY_AGAIN = 75;

  private static final List<String> SIGNALS = List.of("TERM", "INT");
  // What a shell reports of a process that SIGTERM ended.
  private static final int KILLED = 143;

  private final CountDownLatch asked = new CountDownLatch(1);
  private final AtomicInteger signals = new AtomicInteger();

  private final Runnable action;

  private Shutdown(Runnable action) {
    this.action = action;
  }

  /** Takes over SIGTERM and SIGINT for the rest of the process's life. */
  public static Shutdown onSignal() {
    return onSignal(() -> {});
  }

  /** As {@link #onSignal()}; the first signal runs {@code action}, on a thread of the JVM's. */
  public static Shutdown onSignal(Runnable action) {
    Shutdown shutdown = new Shutdown(action);
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object taker =
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
            .invoke(null, signal.getConstructor(String.class).newInstance(name), taker);
      }
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("this JVM gives no access to signals", e);
    }
    return shutdown;
  }

  /** Releases {@link #await} as a signal does, without the action: a part of the program failed. */
  public void request() {
    asked.countDown();
  }

  /** Waits for the first signal, or {@link #request}. */
  public void await() throws InterruptedException {
    asked.await();
  }

  /**
   * Ends the process. What the JVM runs at its end may wait for a device that does not answer any
   * more: after {@code limit} the process is halted without it.
   */
  public static void exit(int code, Duration limit) {
    Threads.named("exit")
        .newThread(
            () -> {
              try {
                TimeUnit.NANOSECONDS.sleep(limit.toNanos());
              } catch (InterruptedException e) {
                // No code interrupts this thread; if it were, it would exit at once.
              }
              Runtime.getRuntime().halt(code);
            })
        .start();
    System.exit(code);
  }

  private void signalled() {
    if (signals.incrementAndGet() > 1) {
      Runtime.getRuntime().halt(KILLED);
    }
    asked.countDown();
    action.run();
  }
}
