package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class ShutdownTest {

  /** A process whose exit blocks forever, as with a driver that hangs. */
  static final class Hanging {

    private Hanging() {}

    public static void main(String[] args) {
      CountDownLatch never = new CountDownLatch(1);
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    try {
                      never.await();
                    } catch (InterruptedException e) {
                      Thread.currentThread().interrupt();
                    }
                  }));
      Shutdown.exit(69, Duration.ofMillis(100));
    }
  }

  @Test
  void repeatedSignals_areIgnored_laterOnesTerminate() throws Exception {
    AtomicLong now = new AtomicLong(Long.MAX_VALUE - 1); // System.nanoTime may overflow.
    AtomicInteger actions = new AtomicInteger();
    AtomicInteger halts = new AtomicInteger();
    Shutdown shutdown = new Shutdown(actions::incrementAndGet, now::get, halts::incrementAndGet);
    shutdown.signalled();
    shutdown.await();
    shutdown.signalled();
    now.addAndGet(Shutdown.REPEATED.toNanos() - 1);
    shutdown.signalled();
    assertThat(halts).hasValue(0);
    now.addAndGet(1);
    shutdown.signalled();
    assertThat(halts).hasValue(1);
    assertThat(actions).hasValue(1);
  }

  /** A process that drains for as long as its parent wants. */
  static final class Draining {

    private Draining() {}

    public static void main(String[] args) throws Exception {
      Shutdown shutdown = Shutdown.onSignal();
      System.out.println("ready");
      shutdown.await();
      System.out.println("draining");
      System.exit(System.in.read() == 'x' ? 0 : 1);
    }
  }

  @Test
  void secondSigterm_doesNotCutTheDrain() throws Exception {
    Process child = java(Draining.class).redirectError(Redirect.INHERIT).start();
    try (BufferedReader out = child.inputReader(StandardCharsets.UTF_8)) {
      assertThat(out.readLine()).isEqualTo("ready");
      assertThat(child.toHandle().destroy()).isTrue();
      assertThat(out.readLine()).isEqualTo("draining");
      assertThat(child.toHandle().destroy()).isTrue();
      // Whether or not the signal has arrived by then, it does not end the process.
      child.getOutputStream().write('x');
      child.getOutputStream().flush();
      assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(child.exitValue()).isZero();
    } finally {
      child.destroyForcibly();
    }
  }

  private static ProcessBuilder java(Class<?> main) {
    return new ProcessBuilder(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-cp",
        System.getProperty("java.class.path"),
        main.getName());
  }

  @Test
  void exit_endsAProcessWhoseEndHangs_withItsCode() throws Exception {
    Process child = java(Hanging.class).inheritIO().start();
    try {
      assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(child.exitValue()).isEqualTo(69);
    } finally {
      child.destroyForcibly();
    }
  }
}
