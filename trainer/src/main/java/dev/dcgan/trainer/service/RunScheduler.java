package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.ErrorMessages;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.config.TrainingConfig;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.StopSignal;
import dev.dcgan.trainer.session.Outcome;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.RunState;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
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
 *
 * <p>A run that something prevents which may pass, as a full disk, is queued again and waits for
 * its next attempt; other queued runs are trained meanwhile, and when its delay is over it is the
 * next. After the last attempt without progress it is FAILED, and can be resumed. If only its end
 * could not be written, attempts just write that, until they succeed.
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

  /**
   * What a run has tried that something prevents.
   *
   * @param count attempts that got no further than the one before
   * @param step the largest step that an attempt has reached
   * @param due when the next one may start, as of {@link System#nanoTime}
   */
  private record Attempts(int count, long step, long due) {}

  /** The delays between attempts, which reach from a short hiccup to an alerted operator. */
  static final List<Duration> RETRY_DELAYS =
      List.of(
          Duration.ofSeconds(10),
          Duration.ofMinutes(1),
          Duration.ofMinutes(5),
          Duration.ofMinutes(15));

  private static final Logger log = LoggerFactory.getLogger(RunScheduler.class);
  private static final String FAULT = "a fault of this program; its log has the cause";

  private final RunManager.Trainer trainer;
  private final int maxQueued;
  private final List<Duration> retryDelays;
  private final RunStateMetrics metrics;
  private final Consumer<String> onDeviceFailure;
  private final Thread worker;

  // Mutable state
  @GuardedBy("this") private final Map<String, Job> jobs = new HashMap<>();

  @GuardedBy("this") private final Deque<Job> queued = new ArrayDeque<>();

  /** Of the queued runs that wait for another attempt, by id. */
  @GuardedBy("this") private final Map<String, Attempts> attempts = new HashMap<>();

  @GuardedBy("this") private @Nullable Job active;

  @GuardedBy("this") private boolean closing;

  /**
   * A scheduler that trains nothing before {@link #start}.
   *
   * @param retryDelays the delay before each further attempt of a run without progress
   * @param onDeviceFailure receives the reason, at most once, on the training thread
   */
  RunScheduler(
      RunManager.Trainer trainer,
      int maxQueued,
      List<Duration> retryDelays,
      RunStateMetrics metrics,
      Consumer<String> onDeviceFailure) {
    this.trainer = trainer;
    this.maxQueued = maxQueued;
    this.retryDelays = retryDelays;
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

  /** The number of a caller's queued runs. */
  synchronized long queuedOf(String caller) {
    return queued.stream().filter(job -> job.record().run().getCaller().equals(caller)).count();
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
   * @throws IOException the end of a queued run cannot be written; nothing has changed
   */
  synchronized Optional<Run> stop(String id) throws IOException {
    Job job = jobs.get(id);
    if (job == null) {
      return Optional.empty();
    }
    if (!queued.contains(job)) {
      job.stop().stop("stopped on request");
    } else if (!job.record().hasEnded()) {
      job.record()
          .stop(
              attempts.containsKey(id)
                  ? "stopped while it waited for another attempt"
                  : "stopped while it was queued");
      queued.remove(job);
      release(job);
    }
    return Optional.of(job.record().run());
  }

  private void work() {
    for (Job job = take(); job != null; job = take()) {
      if (job.record().hasEnded()) {
        writeEnd(job);
        continue;
      }
      log.info("run {} starts", job.id());
      countAttempt(job.record());
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
      while (!closing) {
        long now = System.nanoTime();
        active = firstDue(now);
        if (active != null) {
          queued.remove(active);
          return active;
        }
        wait(millisUntilDue(now));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closing = true;
    }
    return null;
  }

  @GuardedBy("this") private @Nullable Job firstDue(long now) {
    for (Job job : queued) {
      Attempts made = attempts.get(job.id());
      if (made == null || made.due - now <= 0) {
        return job;
      }
    }
    return null;
  }

  /** The time until the first queued run is due; 0: there is none, that is for ever. */
  @GuardedBy("this") private long millisUntilDue(long now) {
    long nanos = Long.MAX_VALUE;
    for (Job job : queued) {
      Attempts made = attempts.get(job.id());
      nanos = Math.min(nanos, made == null ? 0 : made.due - now);
    }
    return queued.isEmpty() ? 0 : Duration.ofNanos(nanos).toMillis() + 1;
  }

  /**
   * Counts an attempt before it begins: if it kills the process, run.json has it. A checkpoint
   * resets the count, and so does an attempt that this process ends.
   */
  private static void countAttempt(RunRecord record) {
    setAttempts(record, record.run().getAttempts() + 1);
  }

  private static void setAttempts(RunRecord record, int attempts) {
    try {
      record.update(run -> run.setAttempts(attempts));
    } catch (IOException e) {
      log.warn(
          "cannot write the state of run {}: {}", record.folder().id(), ErrorMessages.oneLine(e));
    }
  }

  private synchronized void settle(Job job, Outcome outcome) {
    closing |= outcome.deviceFailed();
    if (!job.record().hasEnded() && job.record().run().getAttempts() > 0) {
      setAttempts(job.record(), 0);
    }
    if (outcome.state().isPresent() && !job.record().hasEnded()) {
      // Its training ended by a fault that left no end in the record.
      fail(job);
    }
    if (job.record().hasEnded() && job.record().isUnwritten()) {
      leave(job, Optional.of("cannot write its end"));
    } else if (outcome.kind() == Outcome.Kind.RETRY && !outcome.deviceFailed()) {
      leave(job, Optional.of(outcome.reason()));
    } else {
      if (!job.record().hasEnded() && !outcome.reason().isEmpty()) {
        log.warn("run {} was {}", job.id(), outcome.reason());
      }
      leave(job, Optional.empty());
    }
  }

  private void writeEnd(Job job) {
    try {
      job.record().rewrite();
      leave(job, Optional.empty());
    } catch (IOException e) {
      leave(job, Optional.of("cannot write its end: " + ErrorMessages.oneLine(e)));
    }
  }

  /** Leaves a run that was active; an obstacle is something that may pass. */
  private synchronized void leave(Job job, Optional<String> obstacle) {
    active = null;
    if (obstacle.isPresent()) {
      if (!closing && retry(job, obstacle.get())) {
        return;
      }
      if (giveUp(job, obstacle.get())) {
        return;
      }
    } else if (job.record().hasEnded()) {
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

  /** Queues a run again; false if it is to end or has no attempt left. */
  @GuardedBy("this") private boolean retry(Job job, String obstacle) {
    Attempts before = attempts.getOrDefault(job.id(), new Attempts(0, -1, 0));
    long step = job.record().run().getProgress().getStep();
    int count = step <= before.step ? before.count : 0;
    if (job.record().hasEnded() && !retryDelays.isEmpty()) {
      count = Math.min(count, retryDelays.size() - 1);
    } else if (count == retryDelays.size() || job.stop().requested() == StopSignal.Request.STOP) {
      return false;
    }
    Duration delay = retryDelays.get(count);
    attempts.put(
        job.id(),
        new Attempts(count + 1, Math.max(step, before.step), System.nanoTime() + delay.toNanos()));
    // First, so that it is the next when it is due.
    queued.addFirst(job);
    if (job.record().hasEnded()) {
      log.warn("run {} waits: {}; next attempt in {} s", job.id(), obstacle, delay.toSeconds());
      return true;
    }
    String reason =
        "%s; attempt %d of %d in %d s"
            .formatted(obstacle, count + 2, retryDelays.size() + 1, delay.toSeconds());
    log.warn("run {} waits: {}", job.id(), reason);
    tell(job.record(), reason);
    return true;
  }

  /** Shows in the run and to its watchers what it waits for, unless the disk is full. */
  private static void tell(RunRecord record, String reason) {
    try {
      record.update(run -> run.setReason(reason));
      record.event(
          RunEvent.newBuilder()
              .setWarning(
                  RunEvent.Warning.newBuilder()
                      .setStep(record.run().getProgress().getStep())
                      .setKind("retry")
                      .setMessage(reason)));
    } catch (IOException e) {
      log.debug("cannot write the state of run {}", record.folder().id(), e);
    }
  }

  /**
   * Ends a run: STOPPED if that was requested, otherwise FAILED. It can be resumed in both cases.
   *
   * @return whether the end is queued to be written later
   */
  @GuardedBy("this") private boolean giveUp(Job job, String obstacle) {
    RunRecord record = job.record();
    if (closing || record.hasEnded()) {
      log.error("run {}: {}; it is continued at the next start", job.id(), obstacle);
      return false;
    }
    boolean requested = job.stop().requested() == StopSignal.Request.STOP;
    String reason =
        requested
            ? "%s; %s".formatted(job.stop().reason(), obstacle)
            : "gave up after %d attempts without progress: %s"
                .formatted(retryDelays.size() + 1, obstacle);
    if (!requested) {
      // First: whoever sees the end finds it counted.
      metrics.gaveUp();
    }
    log.error("run {}: {}", job.id(), reason);
    try {
      record.state(requested ? RunState.RUN_STATE_STOPPED : RunState.RUN_STATE_FAILED, reason);
    } catch (IOException e) {
      log.debug("cannot write the end of run {}", job.id(), e);
    }
    return record.isUnwritten() && retry(job, "cannot write its end");
  }

  @GuardedBy("this") private void release(Job job) {
    jobs.remove(job.id());
    attempts.remove(job.id());
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
      if (worker.isAlive() && active != null) {
        // The process ends it, but because it has to: not because of the run.
        setAttempts(active.record(), 0);
      }
      for (Job job : queued) {
        release(job);
      }
      queued.clear();
    }
    return !worker.isAlive();
  }
}
