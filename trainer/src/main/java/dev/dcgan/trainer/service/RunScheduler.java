package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.session.Outcome;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains queued runs in their order of arrival, one at a time, on a thread of its own.
 *
 * <p>Thread-safe. The scheduler owns a job that was added: it closes the job's hold when the run
 * has ended, or in {@link #close}. The lock is free while a run trains; it is held while run.json
 * is written, which takes milliseconds.
 *
 * <p>If the device or its memory fails, the scheduler trains no other run and accepts none: the
 * process must end and be started again. The run stays RUNNING on disk, queued runs stay QUEUED.
 */
final class RunScheduler {

  /** A run that this process has locked. */
  record Job(RunRecords.Hold hold, TrainingConfig config, StopSignal stop) {

    RunRecord record() {
      return hold.record();
    }

    String id() {
      return record().folder().id();
    }
  }

  private static final Logger log = LoggerFactory.getLogger(RunScheduler.class);
  private static final String FAULT = "a fault of this program; its log has the cause";

  private final RunManager.Trainer trainer;
  private final int maxQueued;
  private final RunStateMetrics metrics;
  private final Consumer<String> onDeviceFailure;
  private final Thread worker;

  // Mutable state
  @GuardedBy("this") private final Map<String, Job> jobs = new HashMap<>();

  @GuardedBy("this") private final Deque<Job> queued = new ArrayDeque<>();

  @GuardedBy("this") private @Nullable Job active;

  @GuardedBy("this") private boolean closing;

  /**
   * A scheduler that trains nothing before {@link #start}.
   *
   * @param onDeviceFailure receives the reason, at most once, on the training thread
   */
  RunScheduler(
      RunManager.Trainer trainer,
      int maxQueued,
      RunStateMetrics metrics,
      Consumer<String> onDeviceFailure) {
    this.trainer = trainer;
    this.maxQueued = maxQueued;
    this.metrics = metrics;
    this.onDeviceFailure = onDeviceFailure;
    worker = Threads.named("training").newThread(this::work);
  }

  RunStateMetrics metrics() {
    return metrics;
  }

  void start() {
    worker.start();
  }

  /**
   * Requires room for another run. The caller must prevent that another run is added before its
   * own.
   */
  synchronized void requireRoom() throws RequestException {
    if (closing) {
      throw RequestException.ending();
    }
    if (queued.size() >= maxQueued) {
      throw new RequestException(
          RequestException.Why.FULL,
          "%d runs are queued of at most %d; try again when one has ended"
              .formatted(queued.size(), maxQueued));
    }
  }

  /** Adds a run even if the queue is full: runs that a crash interrupted are not refused. */
  synchronized void add(Job job) {
    jobs.put(job.id(), job);
    queued.add(job);
    notifyAll();
  }

  /** The job of a queued or active run. */
  synchronized Optional<Job> find(String id) {
    return Optional.ofNullable(jobs.get(id));
  }

  /**
   * Ends a queued run at once; requests that the active run ends.
   *
   * @return the run after that; empty if it is neither queued nor active
   */
  synchronized Optional<Run> stop(String id) throws IOException {
    Job job = jobs.get(id);
    if (job == null) {
      return Optional.empty();
    }
    if (queued.contains(job)) {
      job.record().stop("stopped while it was queued");
      queued.remove(job);
      release(job);
    } else {
      job.stop().stop("stopped on request");
    }
    return Optional.of(job.record().run());
  }

  private void work() {
    for (Job job = take(); job != null; job = take()) {
      log.info("run {} starts", job.id());
      Outcome outcome;
      try {
        outcome = trainer.train(job.record(), job.config(), job.stop());
      } catch (RuntimeException | Error e) {
        // Whatever it was, the thread must live: other runs are queued.
        log.error("run {} failed by a fault of this program", job.id(), e);
        outcome = Outcome.failed(FAULT);
      }
      settle(job, outcome);
      if (outcome.deviceFailed()) {
        onDeviceFailure.accept("run %s was %s".formatted(job.id(), outcome.reason()));
      }
    }
  }

  private synchronized @Nullable Job take() {
    try {
      while (queued.isEmpty() && !closing) {
        wait();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closing = true;
    }
    active = closing ? null : queued.poll();
    return active;
  }

  private synchronized void settle(Job job, Outcome outcome) {
    active = null;
    closing |= outcome.deviceFailed();
    if (outcome.state().isPresent() && !job.record().hasEnded()) {
      // Its training ended by a fault that left no end in the record.
      fail(job);
    }
    if (!job.record().hasEnded() && !outcome.reason().isEmpty()) {
      log.warn("run {} was {}", job.id(), outcome.reason());
    }
    if (job.record().hasEnded()) {
      Run run = job.record().run();
      String state = RunRecord.name(run.getState());
      if (run.getState() == RunState.RUN_STATE_FAILED) {
        log.error("run {} is {}: {}", job.id(), state, run.getReason());
      } else {
        log.info("run {} is {}", job.id(), state);
      }
    }
    release(job);
  }

  @GuardedBy("this") private void release(Job job) {
    jobs.remove(job.id());
    job.hold().close();
  }

  private static void fail(Job job) {
    try {
      job.record().state(RunState.RUN_STATE_FAILED, FAULT);
    } catch (IOException e) {
      log.error("cannot write the end of run {}", job.id(), e);
    }
  }

  /**
   * Interrupts the active run and waits for it; queued runs stay QUEUED on disk.
   *
   * @return whether it ended in time; otherwise it continues until the process ends
   */
  boolean close(Duration grace) throws InterruptedException {
    synchronized (this) {
      closing = true;
      if (active != null) {
        active.stop().interrupt();
      }
      notifyAll();
    }
    // join(0) would wait for ever.
    worker.join(Math.max(1, grace.toMillis()));
    synchronized (this) {
      for (Job job : queued) {
        release(job);
      }
      queued.clear();
    }
    return !worker.isAlive();
  }
}
