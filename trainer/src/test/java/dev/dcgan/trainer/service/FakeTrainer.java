package dev.dcgan.trainer.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.session.Outcome;
import dev.dcgan.v1.Progress;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Trains nothing: each run continues, checking its stop signal between "steps" as the real one
 * does, until the test ends it.
 */
final class FakeTrainer implements RunManager.Trainer {

  /** Something for the training thread to do; empty: the run continues. */
  private interface Work {
    Optional<Outcome> on(Session session) throws IOException;
  }

  /** An active run. */
  static final class Session {

    final RunRecord record;
    final TrainingConfig config;
    private final BlockingQueue<Work> work = new LinkedBlockingQueue<>();
    private volatile @Nullable Outcome onStop;

    private Session(RunRecord record, TrainingConfig config) {
      this.record = record;
      this.config = config;
    }

    String id() {
      return record.folder().id();
    }

    void succeed() {
      end(Outcome.succeeded());
    }

    void fail(String reason) {
      end(Outcome.failed(reason));
    }

    /** Returns without having ended the run. */
    void forget() {
      work.add(session -> Optional.of(Outcome.succeeded()));
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
            return Optional.of(Outcome.deviceFailed("interrupted: lost"));
          });
    }

    /** Something that may pass is in the way when so many steps are done. */
    void prevent(String reason, long step) {
      work.add(
          session -> {
            session.record.progress(Progress.newBuilder().setStep(step).build());
            return Optional.of(Outcome.retry(reason));
          });
    }

    /** When a stop is requested, something that may pass is in the way. */
    void preventAfterStop(String reason) {
      onStop = Outcome.retry(reason);
    }

    /** Succeeds, while run.json cannot be written. */
    void succeedUnwritten() {
      work.add(
          session -> {
            Path file = session.record.folder().path().resolve("run.json");
            byte[] json = Files.readAllBytes(file);
            Files.delete(file);
            Files.createDirectories(file.resolve("in the way"));
            assertThatIOException().isThrownBy(() -> session.write(Outcome.succeeded()));
            Files.delete(file.resolve("in the way"));
            Files.delete(file);
            Files.write(file, json);
            return Optional.of(Outcome.retry("it could not be written"));
          });
    }

    void event(RunEvent.Builder event) {
      work.add(
          session -> {
            session.record.event(event);
            return Optional.empty();
          });
    }

    private void end(Outcome outcome) {
      work.add(session -> Optional.of(session.write(outcome)));
    }

    private Outcome write(Outcome outcome) throws IOException {
      record.state(outcome.state().orElseThrow(), outcome.reason());
      return outcome;
    }

    private Outcome train(StopSignal stop) throws IOException, InterruptedException {
      while (true) {
        // What the test has queued so far comes first: what ends the run came after it.
        Work next = work.poll(1, TimeUnit.MILLISECONDS);
        if (next != null) {
          Optional<Outcome> outcome = next.on(this);
          if (outcome.isPresent()) {
            return outcome.get();
          }
          continue;
        }
        if (stop.requested() == StopSignal.Request.STOP) {
          Outcome prevented = onStop;
          if (prevented != null) {
            return prevented;
          }
          return write(Outcome.stopped(stop.reason()));
        }
        if (stop.requested() == StopSignal.Request.INTERRUPT) {
          return Outcome.interrupted("");
        }
      }
    }
  }

  private final BlockingQueue<Session> begun = new LinkedBlockingQueue<>();

  @Override
  public Outcome train(RunRecord record, TrainingConfig config, StopSignal stop) {
    Session session = new Session(record, config);
    try {
      if (record.run().getState() == RunState.RUN_STATE_QUEUED) {
        record.state(RunState.RUN_STATE_RUNNING, "");
      }
      begun.add(session);
      return session.train(stop);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Outcome.interrupted("");
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
