package dev.dcgan.trainer.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class StopSignalTest {

  private final StopSignal signal = new StopSignal();

  @Test
  void interruptibly_interrupted_stops_andLeavesTheThreadClean() {
    assertThatThrownBy(() -> signal.interruptibly(this::interruptAndWait))
        .isInstanceOf(InterruptedIOException.class)
        .hasRootCauseMessage("aborted");

    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }

  @Test
  void interruptibly_interruptedAtTheEnd_keepsTheResult() throws Exception {
    String result =
        signal.interruptibly(
            () -> {
              signal.interrupt();
              return "images";
            });

    assertThat(result).isEqualTo("images");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }

  @Test
  void interruptibly_interruptedThenStopped_leavesTheThreadClean() {
    assertThatThrownBy(
            () ->
                signal.interruptibly(
                    () -> {
                      signal.interrupt();
                      signal.stop("asked to");
                      throw new IOException("aborted");
                    }))
        .isInstanceOf(InterruptedIOException.class)
        .hasRootCauseMessage("aborted");

    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    assertThat(signal.requested()).isEqualTo(StopSignal.Request.STOP);
  }

  @Test
  void interruptibly_interruptedAndStoppedAtTheEnd_keepsTheResult() throws Exception {
    String result =
        signal.interruptibly(
            () -> {
              signal.interrupt();
              signal.stop("asked to");
              return "images";
            });

    assertThat(result).isEqualTo("images");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }

  @Test
  void interruptibly_interruptedBefore_doesNothing() {
    AtomicBoolean done = new AtomicBoolean();
    signal.interrupt();

    assertThatThrownBy(() -> signal.interruptibly(() -> done.getAndSet(true)))
        .isInstanceOf(InterruptedIOException.class);

    assertThat(done).isFalse();
  }

  @Test
  void interruptibly_passesOnWhatGoesWrong() {
    IOException failure = new IOException("unreadable");

    assertThatThrownBy(
            () ->
                signal.interruptibly(
                    () -> {
                      throw failure;
                    }))
        .isSameAs(failure);
  }

  @Test
  void interrupt_afterwards_leavesTheThreadAlone() throws Exception {
    signal.interruptibly(() -> "images");

    signal.interrupt();

    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    assertThat(signal.requested()).isEqualTo(StopSignal.Request.INTERRUPT);
  }

  @Test
  void stop_interruptsTheWork_andLeavesTheThreadClean() throws Exception {
    boolean interrupted =
        signal.interruptibly(
            () -> {
              signal.stop("asked to");
              return Thread.currentThread().isInterrupted();
            });

    assertThat(interrupted).isTrue();
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    assertThatThrownBy(() -> signal.interruptibly(() -> "more work"))
        .isInstanceOf(InterruptedIOException.class);
  }

  private Void interruptAndWait() throws IOException {
    signal.interrupt();
    try {
      new CountDownLatch(1).await(); // Until it is interrupted.
      throw new AssertionError("nobody counts down");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("aborted");
    }
  }
}
