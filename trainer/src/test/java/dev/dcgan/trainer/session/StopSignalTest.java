package dev.dcgan.trainer.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class StopSignalTest {

  private final StopSignal control = new StopSignal();

  @Test
  void interruptibly_interruptedMeanwhile_breaksOff_andLeavesTheThreadFitToWrite() {
    assertThatThrownBy(() -> control.interruptibly(this::interruptAndWait))
        .isInstanceOf(InterruptedIOException.class)
        .hasRootCauseMessage("broken off");

    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }

  @Test
  void interruptibly_interruptedAtItsVeryEnd_keepsTheResult_andLeavesTheThreadFitToWrite()
      throws Exception {
    String result =
        control.interruptibly(
            () -> {
              control.interrupt();
              return "pictures";
            });

    assertThat(result).isEqualTo("pictures");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }

  @Test
  void interruptibly_interruptedAndThenStopped_breaksOff_andLeavesTheThreadFitToWrite() {
    assertThatThrownBy(
            () ->
                control.interruptibly(
                    () -> {
                      control.interrupt();
                      control.stop("asked to");
                      throw new IOException("broken off");
                    }))
        .isInstanceOf(InterruptedIOException.class)
        .hasRootCauseMessage("broken off");

    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    assertThat(control.asked()).isEqualTo(StopSignal.Ask.STOP);
  }

  @Test
  void interruptibly_interruptedAndStoppedAtItsVeryEnd_keepsTheResult() throws Exception {
    String result =
        control.interruptibly(
            () -> {
              control.interrupt();
              control.stop("asked to");
              return "pictures";
            });

    assertThat(result).isEqualTo("pictures");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }

  @Test
  void interruptibly_interruptedBefore_doesNothing() {
    AtomicBoolean done = new AtomicBoolean();
    control.interrupt();

    assertThatThrownBy(() -> control.interruptibly(() -> done.getAndSet(true)))
        .isInstanceOf(InterruptedIOException.class);

    assertThat(done).isFalse();
  }

  @Test
  void interruptibly_passesOnWhatGoesWrong() {
    IOException failure = new IOException("unreadable");

    assertThatThrownBy(
            () ->
                control.interruptibly(
                    () -> {
                      throw failure;
                    }))
        .isSameAs(failure);
  }

  @Test
  void interrupt_afterwards_leavesTheThreadAlone() throws Exception {
    control.interruptibly(() -> "pictures");

    control.interrupt();

    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    assertThat(control.asked()).isEqualTo(StopSignal.Ask.INTERRUPT);
  }

  @Test
  void stop_doesNotBreakOff() throws Exception {
    boolean interrupted =
        control.interruptibly(
            () -> {
              control.stop("asked to");
              return Thread.currentThread().isInterrupted();
            });

    assertThat(interrupted).isFalse();
  }

  private Void interruptAndWait() throws IOException {
    control.interrupt();
    try {
      new CountDownLatch(1).await(); // For ever, but for the interruption.
      throw new AssertionError("nobody counts down");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("broken off");
    }
  }
}
