package dev.dcgan.sampler.scheduling;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import dev.dcgan.server.Threads;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
 *       #MAX_ATTEMPTS} times in all. The pause is on the session's own thread: cancelled and
 *       expired calls leave at once.
 *   <li>Device lost: reported to {@link DeviceHealth}. From then on no batch runs.
 *   <li>A batch that does not return within the timeout counts as a lost device: nothing can stop a
 *       run that hangs in the driver.
 *   <li>All else fails the batch's callers, and no others.
 * </ul>
 *
 * <p>Every failed run is counted by the listener; the log has one line a minute for each version
 * and reason. Thread-safe. A thread, started by {@link #start}, looks for runs that do not return.
 */
public final class RunGuard implements AutoCloseable {

  /** Waits. */
  public interface Pause {
    void pause(Duration duration) throws InterruptedException;
  }

  /** Frees memory of the device, by evicting versions that nobody uses. */
  public interface Eviction {
    void evictIdle();
  }

  static final int MAX_ATTEMPTS = 3;

  private static final Logger log = LoggerFactory.getLogger(RunGuard.class);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(50);
  private static final int PAUSE_GROWTH = 4;
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);
  private static final Duration LOG_INTERVAL = Duration.ofMinutes(1);
  private static final Duration MAX_CHECK_INTERVAL = Duration.ofSeconds(1);
  // A batch that is known to be slow, as on a small CPU, is given this many times what it took.
  private static final int SLOW_FACTOR = 10;

  private final DeviceHealth health;
  private final Function<Throwable, Failure> classifier;
  private final Duration timeout;
  private final LongSupplier nanoClock;
  private final Pause pause;
  private final Set<Run> running = ConcurrentHashMap.newKeySet();
  private final Thread watchdog = Threads.named("batch-watchdog").newThread(this::watch);

  // Mutable state
  private volatile Eviction eviction = () -> {};

  @GuardedBy("this") private final Map<String, Logged> logged = new HashMap<>();

  private record Logged(long at, int suppressed) {}

  /** A batch that is being run. Compared by identity. */
  private static final class Run {
    final String name;
    final List<BatchSlice> batch;
    final BatchListener listener;
    final long start;
    final long limitNanos;

    /** Its callers were told, and its failure counted; what it still does is of no interest. */
    final AtomicBoolean abandoned = new AtomicBoolean();

    Run(String name, List<BatchSlice> batch, BatchListener listener, long start, long limitNanos) {
      this.name = name;
      this.batch = batch;
      this.listener = listener;
      this.start = start;
      this.limitNanos = limitNanos;
    }

    void fail(RunFailedException e) {
      batch.forEach(slice -> slice.job().future.completeExceptionally(e));
    }
  }

  /**
   * A guard without a watchdog yet.
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
  }

  /** A guard whose runs may take as long as they like, and whose device nobody looks after. */
  public static RunGuard unwatched(Function<Throwable, Failure> classifier) {
    return new RunGuard(
        new DeviceHealth(), classifier, Duration.ZERO, System::nanoTime, RunGuard::sleep);
  }

  /** A {@link Pause} by the system's clock. */
  public static void sleep(Duration duration) throws InterruptedException {
    TimeUnit.NANOSECONDS.sleep(duration.toNanos());
  }

  /** Starts to look for runs that do not return, where there is a timeout. */
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

  /** What callers are told once the device is lost; empty: it works. */
  public Optional<RunFailedException> lost() {
    return health.isLost() ? Optional.of(deviceLost(Kind.DEVICE_LOST, null)) : Optional.empty();
  }

  /** Fails the callers of all batches that are being run. */
  public void failRunning() {
    RunFailedException e = deviceLost(Kind.DEVICE_LOST, null);
    running.forEach(run -> run.fail(e));
  }

  /**
   * Runs a batch.
   *
   * @param name of the version, for the log
   * @param expectedNanos that such a batch usually takes
   * @return nanoseconds that the run took which succeeded
   * @throws RunFailedException no slice has its images; counted and logged already
   */
  long run(
      String name, Network network, List<BatchSlice> batch, long expectedNanos, BatchListener listener) {
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
          reportRecovered(run, attempt);
        }
        return nanos;
      } catch (RuntimeException | Error e) {
        // Not even an OutOfMemoryError may leave callers waiting for a thread that is gone.
        failed(run, attempt, e);
      } finally {
        running.remove(run);
      }
      pause(attempt);
      if (batch.stream().allMatch(slice -> slice.job().future.isDone())) {
        throw new RunFailedException(
            Kind.OUT_OF_MEMORY, "nobody waits for the batch any more", RETRY_AFTER, null);
      }
    }
  }

  /** Returns where the batch is to run again; throws otherwise. */
  private void failed(Run run, int attempt, Throwable e) {
    Failure failure = classifier.apply(e);
    if (run.abandoned.compareAndSet(false, true)) {
      run.listener.failed(failure.kind());
    }
    switch (failure.kind()) {
      case OUT_OF_MEMORY -> {
        if (attempt == MAX_ATTEMPTS) {
          report(run, failure, attempt, null);
          throw new RunFailedException(
              failure.kind(),
              "not enough memory to make the images now; try again in %d ms"
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
        // A fault of this program is found by its stack.
        report(run, failure, attempt, failure.kind() == Kind.FAULT ? e : null);
        throw new RunFailedException(failure.kind(), "internal error", Duration.ZERO, e);
      }
    }
  }

  /** Reports runs that should have returned long ago. */
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
        // Where this thread was late by as much, the whole process was stopped, not the device.
        if (now - last < timeout.toNanos()) {
          check();
        }
        last = now;
      }
    } catch (InterruptedException e) {
      log.debug("the watchdog ends");
    }
  }

  private void pause(int attempt) {
    try {
      pause.pause(FIRST_PAUSE.multipliedBy((long) Math.pow(PAUSE_GROWTH, attempt - 1)));
    } catch (InterruptedException e) {
      throw new IllegalStateException("inference threads are not interrupted", e);
    }
  }

  private static RunFailedException deviceLost(Kind kind, @Nullable Throwable cause) {
    return new RunFailedException(
        kind,
        "the device of this replica is lost, and it restarts; call another one",
        RETRY_AFTER,
        cause);
  }

  /** One line a minute for each version, reason and outcome. */
  private void report(Run run, Failure failure, int attempts, @Nullable Throwable stack) {
    String reason = failure.kind().reason();
    int suppressed = suppressed(run.name + " " + reason);
    if (suppressed >= 0) {
      int images = run.batch.stream().mapToInt(BatchSlice::count).sum();
      log.error(
          "a batch failed: model={} reason={} images={} attempts={} suppressed={}: {}",
          run.name,
          reason,
          images,
          attempts,
          suppressed,
          failure.summary(),
          stack);
    }
  }

  private void reportRecovered(Run run, int attempts) {
    int suppressed = suppressed(run.name + " recovered");
    if (suppressed >= 0) {
      log.warn(
          "a batch ran after it had failed: model={} reason={} attempts={} suppressed={}",
          run.name,
          Kind.OUT_OF_MEMORY.reason(),
          attempts,
          suppressed);
    }
  }

  /** How many lines were left out since the last one; -1: this one is to be left out too. */
  private synchronized int suppressed(String key) {
    long now = nanoClock.getAsLong();
    Logged last = logged.get(key);
    if (last != null && now - last.at < LOG_INTERVAL.toNanos()) {
      logged.put(key, new Logged(last.at, last.suppressed + 1));
      return -1;
    }
    logged.put(key, new Logged(now, 0));
    return last == null ? 0 : last.suppressed;
  }

  private static long seconds(long nanos) {
    return Duration.ofNanos(nanos).toSeconds();
  }
}
