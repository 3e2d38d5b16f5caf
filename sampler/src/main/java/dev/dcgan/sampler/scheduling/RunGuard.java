package dev.dcgan.sampler.scheduling;

import dev.dcgan.sampler.scheduling.Failure.Kind;
import dev.dcgan.server.Threads;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the batches of all versions, and decides what a failure means.
 *
 * <ul>
 *   <li>Out of memory: idle versions are evicted, and the batch runs again after a pause, {@value
 *       #MAX_ATTEMPTS} times in all. The pause is on the session's own thread, so cancelled and
 *       expired requests still leave the queue at once.
 *   <li>Device lost: it is reported to {@link DeviceHealth}, and no batch runs afterwards.
 *   <li>A batch that does not return within the timeout counts as a lost device, because nothing
 *       can stop a run that hangs in the driver.
 *   <li>Any other failure fails the batch's callers and no others.
 * </ul>
 *
 * <p>The listener counts every failed run; {@link FailureLog} logs them. Thread-safe. A watchdog
 * thread, started by {@link #start}, looks for runs that do not return.
 */
public final class RunGuard implements AutoCloseable {

  /** Sleeps; tests replace it. */
  public interface Pause {
    void pause(Duration duration) throws InterruptedException;
  }

  /** Frees memory of the device by evicting versions that nobody uses. */
  public interface Eviction {
    void evictIdle();
  }

  static final int MAX_ATTEMPTS = 3;

  private static final Logger log = LoggerFactory.getLogger(RunGuard.class);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(50);
  private static final int PAUSE_GROWTH = 4;
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);
  private static final Duration MAX_CHECK_INTERVAL = Duration.ofSeconds(1);
  // Where batches are known to be slow, as on a small CPU, the limit is this many times the
  // profiled latency.
  private static final int SLOW_FACTOR = 10;

  private final DeviceHealth health;
  private final Function<Throwable, Failure> classifier;
  private final Duration timeout;
  private final LongSupplier nanoClock;
  private final Pause pause;
  private final FailureLog failureLog;
  private final Set<Run> running = ConcurrentHashMap.newKeySet();
  private final Thread watchdog = Threads.named("batch-watchdog").newThread(this::watch);

  // Mutable state
  private volatile Eviction eviction = () -> {};

  /** A batch that is running. Compared by identity. */
  private static final class Run {
    final String name;
    final List<BatchSlice> batch;
    final BatchListener listener;
    final long start;
    final long limitNanos;

    /** Its callers have failed and its failure is counted; how it ends no longer matters. */
    final AtomicBoolean abandoned = new AtomicBoolean();

    Run(String name, List<BatchSlice> batch, BatchListener listener, long start, long limitNanos) {
      this.name = name;
      this.batch = batch;
      this.listener = listener;
      this.start = start;
      this.limitNanos = limitNanos;
    }

    int images() {
      return batch.stream().mapToInt(BatchSlice::count).sum();
    }

    void fail(RunFailedException e) {
      batch.forEach(slice -> slice.task().future.completeExceptionally(e));
    }
  }

  /**
   * A guard whose watchdog is not started yet.
   *
   * @param classifier tells what a failure means
   * @param timeout of a run; zero: none
   */
  public RunGuard(
      DeviceHealth health,
      Function<Throwable, Failure> classifier,
      Duration timeout,
      LongSupplier nanoClock,
      Pause pause) {
    this.health = health;
    this.classifier = classifier;
    this.timeout = timeout;
    this.nanoClock = nanoClock;
    this.pause = pause;
    this.failureLog = new FailureLog(nanoClock);
  }

  /** A guard without a timeout, whose device health nobody observes. */
  public static RunGuard unwatched(Function<Throwable, Failure> classifier) {
    return new RunGuard(
        new DeviceHealth(), classifier, Duration.ZERO, System::nanoTime, RunGuard::sleep);
  }

  /** A {@link Pause} by the system's clock. */
  public static void sleep(Duration duration) throws InterruptedException {
    TimeUnit.NANOSECONDS.sleep(duration.toNanos());
  }

  /** Starts the watchdog if there is a timeout. */
  public void start() {
    if (!timeout.isZero()) {
      watchdog.start();
    }
  }

  /** Sets how to free memory. */
  public void onOutOfMemory(Eviction eviction) {
    this.eviction = eviction;
  }

  @Override
  public void close() {
    watchdog.interrupt();
  }

  /** What callers get once the device is lost; empty: the device works. */
  public Optional<RunFailedException> lost() {
    return health.isLost() ? Optional.of(deviceLost(Kind.DEVICE_LOST, null)) : Optional.empty();
  }

  /** Fails the callers of all running batches. */
  public void failRunning() {
    RunFailedException e = deviceLost(Kind.DEVICE_LOST, null);
    running.forEach(run -> run.fail(e));
  }

  /**
   * Runs a batch.
   *
   * @param name the version's name in the log
   * @param expectedNanos the profiled latency of such a batch
   * @return nanoseconds of the successful run
   * @throws RunFailedException no slice has its images; the failure is counted and logged
   */
  long run(
      String name,
      Network network,
      List<BatchSlice> batch,
      long expectedNanos,
      BatchListener listener) {
    long limit = Math.max(timeout.toNanos(), SLOW_FACTOR * expectedNanos);
    for (int attempt = 1; ; attempt++) {
      if (health.isLost()) {
        throw deviceLost(Kind.DEVICE_LOST, null);
      }
      Run run = new Run(name, batch, listener, nanoClock.getAsLong(), limit);
      running.add(run);
      try {
        network.run(batch);
        long nanos = nanoClock.getAsLong() - run.start;
        if (attempt > 1) {
          failureLog.recovered(name, attempt);
        }
        return nanos;
      } catch (RuntimeException | Error e) {
        // Not even an OutOfMemoryError may leave callers waiting for a thread that has ended.
        handleFailure(run, attempt, e);
      } finally {
        running.remove(run);
      }
      pauseAfter(attempt);
      if (batch.stream().allMatch(slice -> slice.task().future.isDone())) {
        throw new RunFailedException(
            Kind.OUT_OF_MEMORY, "all callers of the batch are gone", RETRY_AFTER, null);
      }
    }
  }

  /** Returns if the batch is to run again; throws otherwise. */
  private void handleFailure(Run run, int attempt, Throwable e) {
    Failure failure = classifier.apply(e);
    if (run.abandoned.compareAndSet(false, true)) {
      run.listener.failed(failure.kind());
    }
    switch (failure.kind()) {
      case OUT_OF_MEMORY -> {
        if (attempt == MAX_ATTEMPTS) {
          failureLog.failed(run.name, failure, run.images(), attempt, null);
          throw new RunFailedException(
              failure.kind(),
              "cannot generate the images: out of memory; try again in %d ms"
                  .formatted(RETRY_AFTER.toMillis()),
              RETRY_AFTER,
              e);
        }
        eviction.evictIdle();
      }
      case DEVICE_LOST -> {
        health.reportLost("a batch of %s failed: %s".formatted(run.name, failure.summary()));
        throw deviceLost(failure.kind(), e);
      }
      default -> {
        // A bug in this program is found by its stack trace.
        Throwable stack = failure.kind() == Kind.FAULT ? e : null;
        failureLog.failed(run.name, failure, run.images(), attempt, stack);
        throw new RunFailedException(failure.kind(), "internal error", Duration.ZERO, e);
      }
    }
  }

  /** Reports runs that have exceeded their limit. */
  void check() {
    if (timeout.isZero()) {
      return;
    }
    long now = nanoClock.getAsLong();
    for (Run run : running) {
      if (now - run.start > run.limitNanos && run.abandoned.compareAndSet(false, true)) {
        run.listener.failed(Kind.TIMEOUT);
        health.reportLost(
            "a batch of %s has not returned for %d s; the limit is %d s (--batch-timeout)"
                .formatted(run.name, seconds(now - run.start), seconds(run.limitNanos)));
        run.fail(deviceLost(Kind.TIMEOUT, null));
      }
    }
  }

  private void watch() {
    Duration quarter = timeout.dividedBy(4);
    Duration interval = quarter.compareTo(MAX_CHECK_INTERVAL) < 0 ? quarter : MAX_CHECK_INTERVAL;
    long last = nanoClock.getAsLong();
    try {
      while (true) {
        pause.pause(interval);
        long now = nanoClock.getAsLong();
        // If this thread is late by the timeout, the process was suspended, and no run hangs.
        if (now - last < timeout.toNanos()) {
          check();
        }
        last = now;
      }
    } catch (InterruptedException e) {
      log.debug("the batch watchdog stops");
    }
  }

  private void pauseAfter(int attempt) {
    try {
      pause.pause(FIRST_PAUSE.multipliedBy((long) Math.pow(PAUSE_GROWTH, attempt - 1)));
    } catch (InterruptedException e) {
      throw new IllegalStateException("inference threads must not be interrupted", e);
    }
  }

  private static RunFailedException deviceLost(Kind kind, @Nullable Throwable cause) {
    return new RunFailedException(
        kind,
        "the device of this replica is lost and the replica restarts; call another replica",
        RETRY_AFTER,
        cause);
  }

  private static long seconds(long nanos) {
    return Duration.ofNanos(nanos).toSeconds();
  }
}
