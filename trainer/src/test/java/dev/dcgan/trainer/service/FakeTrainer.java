package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.session.StopSignal;
import dev.dcgan.trainer.torch.NativeFailureException;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Trains nothing: each run goes on, looking at its control between its "steps" as the real one
 * does, until the test ends it.
 */
final class FakeTrainer implements RunManager.Trainer {

  /** Something that the training thread is to do; returns whether the run goes on. */
  private interface Work {
    boolean on(Session session) throws IOException;
  }

  /** A run under way. */
  static final class Session {

    final RunRecord record;
    final TrainingConfig plan;
    private final BlockingQueue<Work> work = new LinkedBlockingQueue<>();

    private Session(RunRecord record, TrainingConfig plan) {
      this.record = record;
      this.plan = plan;
    }

    String id() {
      return record.folder().id();
    }

    void succeed() {
      end(RunState.RUN_STATE_SUCCEEDED, "");
    }

    void fail(String reason) {
      end(RunState.RUN_STATE_FAILED, reason);
    }

    /** Returns without having ended the run. */
    void forget() {
      work.add(session -> false);
    }

    void breakDown() {
      work.add(
          session -> {
            throw new IllegalStateException("broken");
          });
    }

    void loseDevice() {
      work.add(
          session -> {
            session.record.update(run -> run.setReason("interrupted"));
            throw new NativeFailureException(NativeFailureException.Kind.DEVICE_LOST, "lost");
          });
    }

    void event(RunEvent.Builder event) {
      work.add(
          session -> {
            session.record.event(event);
            return true;
          });
    }

    private void end(RunState state, String reason) {
      work.add(
          session -> {
            session.record.state(state, reason);
            return false;
          });
    }

    private void train(StopSignal control) throws IOException, InterruptedException {
      while (true) {
        // What the test has asked for so far comes first: what ends the run came after it.
        Work next = work.poll(1, TimeUnit.MILLISECONDS);
        if (next != null) {
          if (!next.on(this)) {
            return;
          }
          continue;
        }
        if (control.asked() == StopSignal.Ask.STOP) {
          record.state(RunState.RUN_STATE_STOPPED, control.reason());
          return;
        }
        if (control.asked() == StopSignal.Ask.INTERRUPT) {
          return;
        }
      }
    }
  }

  private final BlockingQueue<Session> begun = new LinkedBlockingQueue<>();

  @Override
  public void train(RunRecord record, TrainingConfig plan, StopSignal control)
      throws NativeFailureException {
    Session session = new Session(record, plan);
    try {
      if (record.run().getState() == RunState.RUN_STATE_QUEUED) {
        record.state(RunState.RUN_STATE_RUNNING, "");
      }
      begun.add(session);
      session.train(control);
    } catch (NativeFailureException e) {
      throw e;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for the next run to be RUNNING. By then the one before has been left. */
  Session next() throws InterruptedException {
    Session session = begun.poll(30, TimeUnit.SECONDS);
    assertThat(session).as("a run begins").isNotNull();
    return session;
  }

  boolean isIdle() {
    return begun.isEmpty();
  }
}
