package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.session.StopSignal;
import dev.dcgan.trainer.torch.NativeFailureException;
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
 * Runs that wait, and the one under way; trained in the order in which they came, one at a time, on
 * a thread of the queue's own.
 *
 * <p>Thread-safe. A job that was added is the queue's: it closes the job's hold when the run has
 * ended, or with {@link #close}. While a run trains the lock is free; it is held while run.json is
 * written, which takes milliseconds.
 *
 * <p>When the device or its memory fails, the queue trains no other run and takes none: the process
 * must end and be started again. The run stays RUNNING on the disk, those that wait stay QUEUED.
 */
final class RunScheduler {

  /** A run of which this process has the lock. */
  record Job(RunRecords.Hold hold, TrainingConfig plan, StopSignal control) {

    RunRecord record() {
      return hold.record();
    }

    String id() {
      return record().folder().id();
    }
  }

  private static final Logger log = LoggerFactory.getLogger("runs");
  private static final String FAULT = "a fault of this program; its log has the cause";

  private final RunManager.Trainer trainer;
  private final int maxWaiting;
  private final RunStateMetrics metrics;
  private final Consumer<NativeFailureException> onNativeFailure;
  private final Thread worker;

  // Mutable state
  @GuardedBy("this") private final Map<String, Job> live = new HashMap<>();

  @GuardedBy("this") private final Deque<Job> waiting = new ArrayDeque<>();

  @GuardedBy("this") private @Nullable Job underWay;

  @GuardedBy("this") private boolean closing;

  /**
   * A queue that trains nothing before {@link #start}.
   *
   * @param onNativeFailure called at most once, on the training thread, after the run was left
   */
  RunScheduler(
      RunManager.Trainer trainer,
      int maxWaiting,
      RunStateMetrics metrics,
      Consumer<NativeFailureException> onNativeFailure) {
    this.trainer = trainer;
    this.maxWaiting = maxWaiting;
    this.metrics = metrics;
    this.onNativeFailure = onNativeFailure;
    worker = Threads.named("training").newThread(this::work);
  }

  RunStateMetrics metrics() {
    return metrics;
  }

  void start() {
    worker.start();
  }

  /**
   * Requires that another run may wait. Who adds it afterwards must see to it that nobody else does
   * in between.
   */
  synchronized void requireRoom() throws RequestException {
    if (closing) {
      throw RequestException.ending();
    }
    if (waiting.size() >= maxWaiting) {
      throw new RequestException(
          RequestException.Why.FULL,
          "%d runs wait already of at most %d; try again when one has ended"
              .formatted(waiting.size(), maxWaiting));
    }
  }

  /** Adds a run, whether there is room or not: those that a crash interrupted are not refused. */
  synchronized void add(Job job) {
    live.put(job.id(), job);
    waiting.add(job);
    notifyAll();
  }

  /** The job of that run, if it waits or is under way. */
  synchronized Optional<Job> find(String id) {
    return Optional.ofNullable(live.get(id));
  }

  /**
   * Ends the run at once if it waits, or asks it to end.
   *
   * @return the run after that; empty where it neither waits nor is under way
   */
  synchronized Optional<Run> stop(String id) throws IOException {
    Job job = live.get(id);
    if (job == null) {
      return Optional.empty();
    }
    if (waiting.contains(job)) {
      job.record().state(RunState.RUN_STATE_STOPPED, "stopped while it waited");
      waiting.remove(job);
      let(job);
    } else {
      job.control().stop("stopped as asked");
    }
    return Optional.of(job.record().run());
  }

  private void work() {
    for (Job job = take(); job != null; job = take()) {
      log.info("run {} begins", job.id());
      Optional<NativeFailureException> failure = Optional.empty();
      try {
        trainer.train(job.record(), job.plan(), job.control());
      } catch (NativeFailureException e) {
        failure = Optional.of(e);
        suspend(job);
      } catch (RuntimeException | Error e) {
        // Whatever it was: the thread must live, others wait for it.
        log.error("run {} failed by a fault of this program", job.id(), e);
        fail(job);
      }
      settle(job, failure.isPresent());
      failure.ifPresent(onNativeFailure);
    }
  }

  /** Leaves the run to the next process, and begins no other in this one. */
  private synchronized void suspend(Job job) {
    closing = true;
    if (!job.record().hasEnded()) {
      log.error("run {} was {}", job.id(), job.record().run().getReason());
    }
  }

  private synchronized @Nullable Job take() {
    try {
      while (waiting.isEmpty() && !closing) {
        wait();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closing = true;
    }
    underWay = closing ? null : waiting.poll();
    return underWay;
  }

  private synchronized void settle(Job job, boolean suspended) {
    underWay = null;
    if (!job.record().hasEnded()
        && !suspended
        && job.control().asked() != StopSignal.Ask.INTERRUPT) {
      log.error("run {} was left without an end", job.id());
      fail(job);
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
    let(job);
  }

  @GuardedBy("this") private void let(Job job) {
    live.remove(job.id());
    job.hold().close();
  }

  private static void fail(Job job) {
    if (!job.record().hasEnded()) {
      try {
        job.record().state(RunState.RUN_STATE_FAILED, FAULT);
      } catch (IOException e) {
        log.error("the end of run {} could not be written", job.id(), e);
      }
    }
  }

  /**
   * Interrupts the run under way and waits until it is left; those that wait stay QUEUED on the
   * disk.
   *
   * @return whether it ended in time; otherwise it goes on until the process ends
   */
  boolean close(Duration grace) throws InterruptedException {
    synchronized (this) {
      closing = true;
      if (underWay != null) {
        underWay.control().interrupt();
      }
      notifyAll();
    }
    // Join's 0 would be for ever.
    worker.join(Math.max(1, grace.toMillis()));
    synchronized (this) {
      for (Job job : waiting) {
        let(job);
      }
      waiting.clear();
    }
    return !worker.isAlive();
  }
}
