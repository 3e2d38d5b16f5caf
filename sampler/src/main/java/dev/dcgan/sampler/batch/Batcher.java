package dev.dcgan.sampler.batch;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.Threads;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/**
 * Joins the images of many callers into batches for one network.
 *
 * <p>The unit of scheduling is the image: a job larger than a batch is split over several, small
 * jobs share one. First come, first served. A batch closes
 *
 * <ul>
 *   <li>when it is full;
 *   <li>when its oldest job has waited for the policy's delay: with a delay of zero, always at
 *       once;
 *   <li>at once when its oldest job came to an idle batcher, nothing queued and nothing running:
 *       there is no sign of other callers, and those who come meanwhile share the next batch;
 *   <li>at once when the batcher is closed, because then nothing else is coming.
 * </ul>
 *
 * <p>A job that does not fit into the queue's bound is refused whole. An accepted one's future is
 * completed exactly once, on the inference thread: with its images, or with what the network threw.
 * Cancelling the future removes the job's queued images before the next batch forms; images that
 * are running are thrown away.
 *
 * <p>Thread-safe. One thread, started here, runs the network and at the end closes it.
 */
public final class Batcher implements AutoCloseable {

  private static final double RATE_SMOOTHING = 0.1;

  private final Network network;
  private final BatchPolicy policy;
  private final BatchListener listener;
  private final LongSupplier nanoClock;
  private final Thread thread;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  // Mutable state
  @GuardedBy("lock") private final BatchQueue queue;

  @GuardedBy("lock") private boolean running;

  @GuardedBy("lock") private boolean closed;

  /** Smoothed; 0 until the first batch has run. */
  @GuardedBy("lock") private double imagesPerSecond;

  private Batcher(
      Network network, BatchPolicy policy, BatchListener listener, LongSupplier nanoClock) {
    this.network = network;
    this.policy = policy;
    this.listener = listener;
    this.nanoClock = nanoClock;
    this.queue = new BatchQueue(policy);
    this.thread = Threads.named("inference").newThread(this::runBatches);
  }

  /** Starts a batcher, which owns the network from now on. */
  public static Batcher start(
      Network network, BatchPolicy policy, BatchListener listener, LongSupplier nanoClock) {
    Batcher batcher = new Batcher(network, policy, listener, nanoClock);
    batcher.thread.start();
    return batcher;
  }

  public BatchPolicy policy() {
    return policy;
  }

  /**
   * Queues a job; cancel the future to take it back.
   *
   * @param latents (n, latentSize), not to be changed any more
   * @throws QueueFullException nothing was queued
   * @throws IllegalStateException the batcher is closed
   */
  public CompletableFuture<Images> submit(float[] latents, Output output)
      throws QueueFullException {
    Job job = new Job(network, latents, output);
    lock.lock();
    try {
      if (closed) {
        throw new IllegalStateException("a job came after the batcher was closed");
      }
      if (job.count > policy.maxQueueImages() - queue.images()) {
        throw new QueueFullException(
            job.count, queue.images(), policy.maxQueueImages(), timeToClear());
      }
      queue.add(job, nanoClock.getAsLong(), !running);
      listener.queueChanged(job.count);
      changed.signal();
    } finally {
      lock.unlock();
    }
    // Whoever ends the future, the caller or a failure, what is still queued has no taker.
    var unused = job.future.whenComplete((images, failure) -> forget(job));
    return job.future;
  }

  /** Refuses jobs from now on; those accepted are finished, then the network is closed. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Waits until the network is closed; false if that took longer than {@code limit}. */
  public boolean awaitClosed(Duration limit) throws InterruptedException {
    TimeUnit.NANOSECONDS.timedJoin(thread, limit.toNanos());
    return !thread.isAlive();
  }

  private void forget(Job job) {
    lock.lock();
    try {
      int removed = queue.remove(job);
      if (removed > 0) {
        listener.queueChanged(-removed);
      }
    } finally {
      lock.unlock();
    }
  }

  private void runBatches() {
    try (network) {
      for (List<Slice> batch = next(); !batch.isEmpty(); batch = next()) {
        execute(batch);
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException("the inference thread is nobody's to interrupt", e);
    }
  }

  /** Waits for the next batch to close; empty at the end. */
  private List<Slice> next() throws InterruptedException {
    lock.lock();
    try {
      running = false;
      while (true) {
        if (queue.images() == 0) {
          if (closed) {
            return List.of();
          }
          changed.await();
          continue;
        }
        long closesIn = closed ? 0 : queue.closesIn(nanoClock.getAsLong());
        if (closesIn <= 0) {
          running = true;
          return take();
        }
        changed.awaitNanos(closesIn);
      }
    } finally {
      lock.unlock();
    }
  }

  @GuardedBy("lock") private List<Slice> take() {
    int before = queue.images();
    List<Slice> batch = queue.take();
    listener.queueChanged(queue.images() - before);
    long now = nanoClock.getAsLong();
    batch.forEach(slice -> listener.waited(now - slice.job().arrived));
    return batch;
  }

  private void execute(List<Slice> batch) {
    int images = batch.stream().mapToInt(Slice::count).sum();
    long start = nanoClock.getAsLong();
    try {
      network.run(batch);
      long nanos = nanoClock.getAsLong() - start;
      listener.executed(images, nanos);
      measure(images, nanos);
    } catch (RuntimeException | Error e) {
      // Not even an OutOfMemoryError may leave callers waiting for a thread that is gone.
      batch.forEach(slice -> slice.job().future.completeExceptionally(e));
      return;
    }
    for (Slice slice : batch) {
      Job job = slice.job();
      job.done += slice.count();
      if (job.done == job.count) {
        job.future.complete(job.images());
      }
    }
  }

  private void measure(int images, long nanos) {
    double now = images / (Math.max(nanos, 1) / 1e9);
    lock.lock();
    try {
      imagesPerSecond =
          imagesPerSecond == 0 ? now : imagesPerSecond + RATE_SMOOTHING * (now - imagesPerSecond);
    } finally {
      lock.unlock();
    }
  }

  @GuardedBy("lock") private Duration timeToClear() {
    if (imagesPerSecond == 0) {
      return Duration.ofSeconds(1);
    }
    long millis = (long) Math.ceil(1000.0 * queue.images() / imagesPerSecond);
    return Duration.ofMillis(Math.max(1, Math.min(millis, 60_000)));
  }
}
