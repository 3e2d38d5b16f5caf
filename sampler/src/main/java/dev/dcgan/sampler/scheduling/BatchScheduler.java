package dev.dcgan.sampler.scheduling;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.Threads;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Dynamic batching: joins the images of concurrent requests into batches for the sessions of one
 * network.
 *
 * <p>The unit of scheduling is the image: a large request is split over several batches, small
 * requests share one. {@link FairQueue} decides whose images run next: callers get equal shares,
 * and so do the requests of a caller; new ones first, then deficit round-robin, tight deadlines
 * before others.
 *
 * <p>The batch size follows from the profiled latency ({@link LatencyProfile}). It is at most the
 * size at which an image is about as cheap as it gets, so that new requests never wait long for the
 * next batch. It is a quarter of the number of queued requests where that is more, because
 * responses that leave together cost less. While little is queued, a session takes its share and
 * leaves the rest to the other sessions, if that finishes sooner. Where the network runs fixed
 * batch sizes only, a batch is padded up to one of them or cut down to one. A batch closes
 *
 * <ul>
 *   <li>when it is full;
 *   <li>at once when waiting does not pay: at the EWMA of the arrival rate the next task is further
 *       away than the time that batching would save. So a lone caller never waits, and on a CPU,
 *       where batching saves little, nobody does;
 *   <li>otherwise when images have been queued for the policy's maximum delay, or when no task has
 *       arrived for as long as batching would save;
 *   <li>at once when the scheduler is closed, because no further task arrives.
 * </ul>
 *
 * <p>A task that exceeds its caller's share of the queue is rejected as a whole, and so is a
 * request that cannot finish before its deadline at the estimated rate. The future of an accepted
 * task is completed exactly once: with its images on the task's executor, or exceptionally on an
 * inference thread. Cancelling the future removes the queued images before the next batch closes,
 * and so does the deadline; images that are running already are discarded.
 *
 * <p>Thread-safe. Each session has a thread, started here, which runs its network and closes it at
 * the end.
 */
public final class BatchScheduler implements AutoCloseable {

  /** The time left of a request that has no deadline. */
  public static final long NO_DEADLINE = Long.MAX_VALUE;

  // A batch this many times smaller than the number of queued requests delays none of them much.
  private static final int QUEUED_REQUESTS_PER_IMAGE = 4;

  private final String name;
  private final List<Network> networks;
  private final LatencyProfile profile;
  private final BatchingPolicy policy;
  private final BatchListener listener;
  private final RunGuard guard;
  private final LongSupplier nanoClock;
  private final List<Thread> threads = new ArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();

  // Mutable state
  @GuardedBy("lock") private final FairQueue queue = new FairQueue();

  @GuardedBy("lock") private final ThroughputEstimator estimator;

  @GuardedBy("lock") private List<CompletableFuture<Void>> roomWaiters = new ArrayList<>();

  /** One condition per idle session, the most recently idle last: its caches are warm. */
  @GuardedBy("lock") private final Deque<Condition> idle = new ArrayDeque<>();

  @GuardedBy("lock") private boolean closed;

  @GuardedBy("lock") private long requests;

  private BatchScheduler(
      String name,
      List<Network> networks,
      LatencyProfile profile,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard,
      LongSupplier nanoClock) {
    this.name = name;
    this.guard = guard;
    this.networks = List.copyOf(networks);
    this.profile = profile;
    this.policy = policy;
    this.listener = listener;
    this.nanoClock = nanoClock;
    this.estimator =
        new ThroughputEstimator(profile, fullBatch(), networks.size(), nanoClock.getAsLong());
  }

  /**
   * Starts a scheduler, which owns the networks from now on.
   *
   * @param name the version's name in the log
   * @param networks sessions of the same network, one per inference thread
   * @param guard runs the batches
   */
  public static BatchScheduler start(
      String name,
      List<Network> networks,
      LatencyProfile profile,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard,
      LongSupplier nanoClock) {
    BatchScheduler scheduler =
        new BatchScheduler(name, networks, profile, policy, listener, guard, nanoClock);
    ThreadFactory factory = Threads.named("inference");
    for (Network network : scheduler.networks) {
      scheduler.threads.add(factory.newThread(() -> scheduler.runBatches(network)));
    }
    scheduler.threads.forEach(Thread::start);
    return scheduler;
  }

  public BatchingPolicy policy() {
    return policy;
  }

  /**
   * Admits a request and reserves room in the queue for its first images, which are submitted next:
   * one decision under one lock.
   *
   * @param caller equal for requests of one caller, who get one share of the batches
   * @param images of the whole request, above 0
   * @param first images that are submitted first, at most {@code images}
   * @param nanosLeft until its deadline, or {@link #NO_DEADLINE}
   * @throws TooLateException the request cannot finish before its deadline
   * @throws QueueFullException the queue has no room for this caller
   */
  public QueuedRequest admit(
      Object caller, long images, int first, Priority priority, long nanosLeft)
      throws TooLateException, QueueFullException {
    lock.lock();
    try {
      boolean hasDeadline = nanosLeft != NO_DEADLINE;
      if (hasDeadline) {
        requireInTime(caller, images, priority, nanosLeft);
      }
      long deadline = hasDeadline ? nanoClock.getAsLong() + nanosLeft : 0;
      QueuedRequest request =
          new QueuedRequest(caller, priority, hasDeadline, deadline, requests++, images);
      reserve(request, first);
      return request;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Reserves room in the queue for the images of a request that are submitted next.
   *
   * @param images in all; room that is reserved already counts
   * @throws QueueFullException the queue has no room for this caller; what was reserved before
   *     stays reserved
   */
  public void reserve(QueuedRequest request, int images) throws QueueFullException {
    lock.lock();
    try {
      int more = images - request.reserved;
      if (more <= 0) {
        return;
      }
      int free = policy.maxQueueImages() - queue.taken();
      int ofCaller = queue.takenBy(request.caller);
      if (!policy.hasRoom(more, ofCaller, free)) {
        throw new QueueFullException(
            images,
            queue.taken() - request.reserved,
            ofCaller - request.reserved,
            policy.maxQueueImages(),
            estimator.retryAfter(queue.images()));
      }
      queue.reserve(request, more);
    } finally {
      lock.unlock();
    }
  }

  /** Releases the room that is reserved for a request: its images are not submitted after all. */
  public void release(QueuedRequest request) {
    List<CompletableFuture<Void>> room;
    lock.lock();
    try {
      queue.release(request);
      room = takeRoomWaiters();
    } finally {
      lock.unlock();
    }
    room.forEach(waiter -> waiter.complete(null));
  }

  /**
   * Queues images of a request, after those that it has queued before; cancel the future to
   * withdraw them. They use the room that is reserved for them; what is missing is reserved first.
   *
   * @param latents (n, latentSize); the caller must not change them afterwards
   * @param labels (n), likewise, or {@link Network#NO_LABELS}
   * @param executor completes the future once the images are made. Tasks with the same executor
   *     that one batch finishes are completed by one call of it. Where it rejects that call, the
   *     inference thread completes them
   * @throws QueueFullException nothing was queued
   * @throws IllegalStateException the scheduler is closed
   */
  public CompletableFuture<Images> submit(
      QueuedRequest request, float[] latents, long[] labels, Output output, Executor executor)
      throws QueueFullException {
    Network network = networks.get(0);
    ImageTask task =
        new ImageTask(
            latents, labels, network.latentSize(), output, network.imageBytes(output), executor);
    Optional<RunFailedException> lost;
    lock.lock();
    try {
      if (closed) {
        throw new IllegalStateException("the scheduler of %s is closed".formatted(name));
      }
      lost = guard.lost();
      if (lost.isEmpty()) {
        enqueue(request, task);
      }
    } finally {
      lock.unlock();
    }
    if (lost.isPresent()) {
      release(request); // Without the lock: who waits for room may take other locks.
      return CompletableFuture.failedFuture(lost.get());
    }
    // Whether the caller cancelled it or a run failed: nobody wants the images still queued.
    var unused =
        task.future.whenComplete(
            (images, failure) -> {
              if (failure != null) {
                withdraw(request, task);
              }
            });
    return task.future;
  }

  /** Completes when images have left the queue, for callers that were rejected. */
  public CompletableFuture<Void> whenRoom() {
    CompletableFuture<Void> room = new CompletableFuture<>();
    lock.lock();
    try {
      if (queue.taken() > 0) {
        roomWaiters.add(room);
        return room;
      }
    } finally {
      lock.unlock();
    }
    room.complete(null);
    return room;
  }

  /** Rejects tasks from now on; the accepted ones are finished, then the networks are closed. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      idle.forEach(Condition::signal);
    } finally {
      lock.unlock();
    }
  }

  /** Fails the queued tasks. */
  public void failQueued(RuntimeException e) {
    List<ImageTask> tasks;
    lock.lock();
    try {
      tasks = queue.tasks();
    } finally {
      lock.unlock();
    }
    // Each is withdrawn from the queue as its future fails.
    tasks.forEach(task -> task.future.completeExceptionally(e));
  }

  /** Whether the networks are closed. */
  public boolean isClosed() {
    return threads.stream().noneMatch(Thread::isAlive);
  }

  /** Waits until the networks are closed; false if that took longer than {@code limit}. */
  public boolean awaitClosed(Duration limit) throws InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    for (Thread thread : threads) {
      TimeUnit.NANOSECONDS.timedJoin(thread, end - System.nanoTime());
      if (thread.isAlive()) {
        return false;
      }
    }
    return true;
  }

  /** Sessions that wait for work. */
  int idleSessions() {
    lock.lock();
    try {
      return idle.size();
    } finally {
      lock.unlock();
    }
  }

  /** Images in a full batch. */
  private int fullBatch() {
    return Math.min(policy.maxBatch(), profile.optimalBatchSize());
  }

  @GuardedBy("lock") private void enqueue(QueuedRequest request, ImageTask task) throws QueueFullException {
    reserve(request, task.count);
    long now = nanoClock.getAsLong();
    estimator.recordArrival(now);
    task.arrival = now;
    queue.add(request, task, now);
    listener.queueChanged(task.count);
    wakeOneSession();
  }

  @GuardedBy("lock") private void requireInTime(Object caller, long images, Priority priority, long nanosLeft)
      throws TooLateException {
    double needed =
        estimator.nanosToFinish(
            queue.imagesAhead(caller, images, priority), images, queue.images() == 0);
    if (nanosLeft < needed) {
      throw new TooLateException(
          "cannot finish %d images before the deadline: they take about %d ms with %d images queued, and %d ms are left; allow more time or request fewer images"
              .formatted(
                  images,
                  (long) Math.ceil(needed / 1e6),
                  queue.images(),
                  TimeUnit.NANOSECONDS.toMillis(nanosLeft)));
    }
  }

  private void withdraw(QueuedRequest request, ImageTask task) {
    List<CompletableFuture<Void>> room = List.of();
    lock.lock();
    try {
      int removed = queue.remove(request, task);
      if (removed > 0) {
        listener.queueChanged(-removed);
        room = takeRoomWaiters();
      }
    } finally {
      lock.unlock();
    }
    room.forEach(waiter -> waiter.complete(null));
  }

  @GuardedBy("lock") private void wakeOneSession() {
    Condition latest = idle.peekLast();
    if (latest != null) {
      latest.signal();
    }
  }

  private void runBatches(Network network) {
    Condition changed = lock.newCondition();
    try (network) {
      for (Work work = nextWork(changed); !work.isLast; work = nextWork(changed)) {
        work.expired.forEach(task -> task.future.completeExceptionally(expired(task)));
        work.room.forEach(waiter -> waiter.complete(null));
        if (!work.batch.isEmpty()) {
          execute(network, work.batch);
        }
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException("inference threads must not be interrupted", e);
    }
  }

  /**
   * What a session does next, outside the lock.
   *
   * @param isLast nothing is queued, and the scheduler is closed
   */
  private record Work(
      List<BatchSlice> batch,
      List<ImageTask> expired,
      List<CompletableFuture<Void>> room,
      boolean isLast) {}

  /** Waits for the next batch to close. */
  private Work nextWork(Condition changed) throws InterruptedException {
    lock.lock();
    try {
      idle.addLast(changed);
      try {
        Work work = availableWork();
        while (work == null) {
          changed.awaitNanos(nanosUntilBatchCloses(nanoClock.getAsLong()));
          work = availableWork();
        }
        return work;
      } finally {
        idle.remove(changed);
        if (queue.images() > 0) {
          wakeOneSession(); // Another session runs a share of what is left.
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** What there is to do now; null: wait. */
  @GuardedBy("lock") private @Nullable Work availableWork() {
    long now = nanoClock.getAsLong();
    int before = queue.images();
    List<ImageTask> expired = queue.removeExpired(now);
    if (!expired.isEmpty()) {
      listener.queueChanged(queue.images() - before);
      return new Work(List.of(), expired, takeRoomWaiters(), false);
    }
    if (queue.images() == 0 && closed) {
      return new Work(List.of(), List.of(), List.of(), true);
    }
    return nanosUntilBatchCloses(now) > 0
        ? null
        : new Work(takeBatch(now), List.of(), takeRoomWaiters(), false);
  }

  /** Nanoseconds until the next batch closes, 0 or less if it closes now. */
  @GuardedBy("lock") private long nanosUntilBatchCloses(long now) {
    int queued = queue.images();
    if (queued == 0) {
      return Long.MAX_VALUE;
    }
    if (closed || queued >= fullBatch()) {
      return 0;
    }
    long delayLeft = policy.maxDelay().toNanos() - (now - queue.nonEmptySince());
    return Math.min(delayLeft, estimator.nanosWorthWaiting(queued, now));
  }

  @GuardedBy("lock") private List<BatchSlice> takeBatch(long now) {
    int share = queue.requests() / QUEUED_REQUESTS_PER_IMAGE;
    int limit = Math.max(fullBatch(), Math.min(policy.maxBatch(), share));
    int size = profile.batchSize(queue.images(), networks.size(), limit);
    int before = queue.images();
    List<BatchSlice> batch = queue.take(size, now, estimator.nanosPerImage());
    listener.queueChanged(queue.images() - before);
    for (BatchSlice slice : batch) {
      if (slice.first() == 0) {
        slice.task().started = now;
      }
      listener.waited(now - slice.task().arrival);
    }
    return batch;
  }

  @GuardedBy("lock") private List<CompletableFuture<Void>> takeRoomWaiters() {
    if (roomWaiters.isEmpty()) {
      return List.of();
    }
    List<CompletableFuture<Void>> waiters = roomWaiters;
    roomWaiters = new ArrayList<>();
    return waiters;
  }

  private void execute(Network network, List<BatchSlice> batch) {
    int images = 0;
    for (BatchSlice slice : batch) {
      images += slice.count();
    }
    try {
      long nanos = guard.run(name, network, batch, profile.nanos(images), listener);
      listener.executed(images, network.padded(images), nanos);
      recordRun(images, nanos);
    } catch (RuntimeException | Error e) {
      batch.forEach(slice -> slice.task().future.completeExceptionally(e));
      return;
    }
    List<ImageTask> done = new ArrayList<>(batch.size());
    for (BatchSlice slice : batch) {
      if (slice.task().recordImages(slice.count())) {
        done.add(slice.task());
      }
    }
    while (!done.isEmpty()) {
      done = completeFirstGroup(done);
    }
  }

  /** Completes all tasks that have the first one's executor; returns the others. */
  private static List<ImageTask> completeFirstGroup(List<ImageTask> done) {
    Executor executor = done.get(0).executor;
    List<ImageTask> group = new ArrayList<>(done.size());
    List<ImageTask> others = new ArrayList<>(0);
    for (ImageTask task : done) {
      (task.executor == executor ? group : others).add(task);
    }
    try {
      executor.execute(() -> group.forEach(ImageTask::complete));
    } catch (RuntimeException | Error e) {
      // It is shut down, or cannot start a thread; the callers must get their images nevertheless.
      group.forEach(ImageTask::complete);
    }
    return others;
  }

  private void recordRun(int images, long nanos) {
    lock.lock();
    try {
      estimator.recordRun(images, nanos);
    } finally {
      lock.unlock();
    }
  }

  private static TooLateException expired(ImageTask task) {
    return new TooLateException(
        "cannot finish %d images: the deadline passed before all were made; allow more time"
            .formatted(task.count));
  }
}
