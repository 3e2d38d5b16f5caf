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
 * Joins the images of many callers into batches for the sessions of one network.
 *
 * <p>The unit of scheduling is the image: a request larger than a batch is split over several,
 * small ones share one. Whose images are next is {@link FairQueue}'s law: newcomers first, then
 * turns by deficit round-robin, tight deadlines before others.
 *
 * <p>How many images a batch takes follows from the network's measured times ({@link LatencyProfile}):
 * at most as many as make an image cheaper, so that newcomers never wait long for the next one; or
 * a quarter of the requests that wait, where that is more, because answers that leave together cost
 * less. Where little is queued, a session takes its share and leaves the others theirs, if that
 * ends sooner. Where the network runs fixed batch sizes only, a batch is padded to one or cut at
 * one. A batch closes
 *
 * <ul>
 *   <li>when it has that many;
 *   <li>at once when nothing suggests that waiting pays: at the rate at which jobs have been
 *       arriving, the next is further away than the time that it would save by joining. So a lone
 *       caller never waits, and on a CPU, where joining saves next to nothing, nobody does;
 *   <li>else when there have been images waiting for the policy's delay, or when nobody came for as
 *       long as joining would save;
 *   <li>at once when the batcher is closed, because then nothing else is coming.
 * </ul>
 *
 * <p>A job that does not fit into the queue's bound is refused whole, and so is a request that at
 * the measured rate could not be done by its deadline. An accepted job's future is completed
 * exactly once: by its answerer with its images, or on an inference thread with what the network
 * threw. Cancelling the future removes the job's queued images before the next batch forms, and so
 * does its deadline; images that are running are thrown away.
 *
 * <p>Thread-safe. A thread a session, started here, runs its network and at the end closes it.
 */
public final class BatchScheduler implements AutoCloseable {

  /** Of a request that may take as long as it likes. */
  public static final long NO_DEADLINE = Long.MAX_VALUE;

  // A batch of so small a part of the requests that wait delays none of them much.
  private static final int FEW = 4;
  private static final double SMOOTHING = 0.1;
  private static final long LONGEST_GAP_NANOS = 1_000_000_000;

  private final String name;
  private final List<Network> networks;
  private final LatencyProfile times;
  private final BatchingPolicy policy;
  private final BatchListener listener;
  private final RunGuard guard;
  private final LongSupplier nanoClock;
  private final List<Thread> threads = new ArrayList<>();
  private final ReentrantLock lock = new ReentrantLock();

  // Mutable state
  @GuardedBy("lock") private final FairQueue queue = new FairQueue();

  @GuardedBy("lock") private List<CompletableFuture<Void>> waitingForRoom = new ArrayList<>();

  /** What sessions without work wait for, the latest to wait last: its network is warm. */
  @GuardedBy("lock") private final Deque<Condition> idle = new ArrayDeque<>();

  /** Images that were admitted and are not submitted yet: their latents are being made. */
  @GuardedBy("lock") private int reserved;

  @GuardedBy("lock") private boolean closed;

  @GuardedBy("lock") private long requests;

  @GuardedBy("lock") private long lastArrival;

  /** Between the arrivals of jobs, smoothed. */
  @GuardedBy("lock") private double gapNanos = LONGEST_GAP_NANOS;

  /** How many times as long as measured at warm-up batches take, smoothed. */
  @GuardedBy("lock") private double slowness = 1;

  private BatchScheduler(
      String name,
      List<Network> networks,
      LatencyProfile times,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard,
      LongSupplier nanoClock) {
    this.name = name;
    this.guard = guard;
    this.networks = List.copyOf(networks);
    this.times = times;
    this.policy = policy;
    this.listener = listener;
    this.nanoClock = nanoClock;
    this.lastArrival = nanoClock.getAsLong();
  }

  /**
   * Starts a batcher, which owns the networks from now on.
   *
   * @param name of the version, for the log
   * @param networks the same one, a session each
   * @param guard runs the batches
   */
  public static BatchScheduler start(
      String name,
      List<Network> networks,
      LatencyProfile times,
      BatchingPolicy policy,
      BatchListener listener,
      RunGuard guard,
      LongSupplier nanoClock) {
    BatchScheduler batcher = new BatchScheduler(name, networks, times, policy, listener, guard, nanoClock);
    ThreadFactory factory = Threads.named("inference");
    for (Network network : batcher.networks) {
      batcher.threads.add(factory.newThread(() -> batcher.runBatches(network)));
    }
    batcher.threads.forEach(Thread::start);
    return batcher;
  }

  public BatchingPolicy policy() {
    return policy;
  }

  /** Images in a batch that is full. */
  int largestBatch() {
    return Math.min(policy.maxBatch(), times.best());
  }

  /**
   * Admits a request, and reserves room in the queue for its first images, which are submitted next:
   * one decision under one lock.
   *
   * @param images of the whole request, above 0
   * @param first images that are submitted first, at most {@code images}
   * @param nanosLeft until its deadline; {@link #NO_DEADLINE}: it has none
   * @throws TooLateException the request could not be finished by then; nothing was reserved
   * @throws QueueFullException there is no room; nothing was reserved
   */
  public QueuedRequest admit(long images, int first, Priority priority, long nanosLeft)
      throws TooLateException, QueueFullException {
    lock.lock();
    try {
      boolean hasDeadline = nanosLeft != NO_DEADLINE;
      if (hasDeadline) {
        double needed = nanosToFinish(images, priority);
        if (nanosLeft < needed) {
          throw new TooLateException(
              "%d images would take about %d ms with %d queued; the request's deadline is in %d ms: allow more time, or request fewer"
                  .formatted(
                      images,
                      (long) Math.ceil(needed / 1e6),
                      queue.images(),
                      TimeUnit.NANOSECONDS.toMillis(nanosLeft)));
        }
      }
      long deadline = hasDeadline ? nanoClock.getAsLong() + nanosLeft : 0;
      QueuedRequest request =
          new QueuedRequest(priority, hasDeadline, deadline, requests++, images);
      reserve(request, first);
      return request;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Reserves room in the queue for the images of a request that are submitted next.
   *
   * @param images in all; what is reserved already counts
   * @throws QueueFullException there is no room; what was reserved before stays so
   */
  public void reserve(QueuedRequest request, int images) throws QueueFullException {
    lock.lock();
    try {
      int more = images - request.reserved;
      if (more <= 0) {
        return;
      }
      int others = queue.images() + reserved - request.reserved;
      if (images > policy.maxQueueImages() - others) {
        throw new QueueFullException(images, others, policy.maxQueueImages(), timeToClear());
      }
      reserved += more;
      request.reserved += more;
    } finally {
      lock.unlock();
    }
  }

  /** Gives back what is reserved for a request, whose images are not submitted after all. */
  public void release(QueuedRequest request) {
    List<CompletableFuture<Void>> room;
    lock.lock();
    try {
      reserved -= request.reserved;
      request.reserved = 0;
      room = takeWaitingForRoom();
    } finally {
      lock.unlock();
    }
    room.forEach(waiting -> waiting.complete(null));
  }

  /**
   * Queues images of a request, after those that it has queued before; cancel the future to take
   * them back. The room that is reserved for them is used; what is missing is reserved first.
   *
   * @param latents (n, latentSize), which must not be changed any more
   * @param encoder completes the future once the images are made; tasks of one encoder that the same
   *     batch finishes are completed together. Where it refuses, the inference thread does
   * @throws QueueFullException nothing was queued
   * @throws IllegalStateException the scheduler is closed
   */
  public CompletableFuture<Images> submit(
      QueuedRequest request, float[] latents, Output output, Executor encoder)
      throws QueueFullException {
    ImageTask job = new ImageTask(request, networks.get(0), latents, output, encoder);
    lock.lock();
    try {
      if (closed) {
        throw new IllegalStateException("a task was submitted after the scheduler was closed");
      }
      Optional<RunFailedException> lost = guard.lost();
      if (lost.isPresent()) {
        release(request);
        return CompletableFuture.failedFuture(lost.get());
      }
      reserve(request, job.count);
      request.reserved -= job.count;
      reserved -= job.count;
      long now = nanoClock.getAsLong();
      arrived(now);
      job.arrived = now;
      queue.add(job, now);
      listener.queueChanged(job.count);
      wakeOne();
    } finally {
      lock.unlock();
    }
    // Whoever ends the future, the caller or a failure, what is still queued has no taker.
    var unused =
        job.future.whenComplete(
            (images, failure) -> {
              if (failure != null) {
                forget(job);
              }
            });
    return job.future;
  }

  /** Completed when images have left the queue, for who was refused. */
  public CompletableFuture<Void> whenRoom() {
    CompletableFuture<Void> room = new CompletableFuture<>();
    lock.lock();
    try {
      if (queue.images() + reserved > 0) {
        waitingForRoom.add(room);
        return room;
      }
    } finally {
      lock.unlock();
    }
    room.complete(null);
    return room;
  }

  /** Refuses jobs from now on; those accepted are finished, then the networks are closed. */
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

  /** Fails the jobs that are queued. */
  public void failQueued(RuntimeException e) {
    List<ImageTask> jobs;
    lock.lock();
    try {
      jobs = queue.jobs();
    } finally {
      lock.unlock();
    }
    // Each leaves the queue as its future fails.
    jobs.forEach(job -> job.future.completeExceptionally(e));
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
  int idle() {
    lock.lock();
    try {
      return idle.size();
    } finally {
      lock.unlock();
    }
  }

  private void forget(ImageTask job) {
    List<CompletableFuture<Void>> room = List.of();
    lock.lock();
    try {
      int removed = queue.remove(job);
      if (removed > 0) {
        listener.queueChanged(-removed);
        room = takeWaitingForRoom();
      }
    } finally {
      lock.unlock();
    }
    room.forEach(waiting -> waiting.complete(null));
  }

  @GuardedBy("lock") private void wakeOne() {
    Condition latest = idle.peekLast();
    if (latest != null) {
      latest.signal();
    }
  }

  @GuardedBy("lock") private void arrived(long now) {
    long gap = Math.min(LONGEST_GAP_NANOS, now - lastArrival);
    gapNanos += SMOOTHING * (gap - gapNanos);
    lastArrival = now;
  }

  private void runBatches(Network network) {
    Condition changed = lock.newCondition();
    try (network) {
      for (Turn turn = next(changed); !turn.last; turn = next(changed)) {
        turn.expired.forEach(job -> job.future.completeExceptionally(expired(job)));
        turn.room.forEach(waiting -> waiting.complete(null));
        if (!turn.batch.isEmpty()) {
          execute(network, turn.batch);
        }
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException("the inference thread is nobody's to interrupt", e);
    }
  }

  /**
   * What a session does next, outside the lock.
   *
   * @param last nothing is queued, nor will be
   */
  private record Turn(
      List<BatchSlice> batch, List<ImageTask> expired, List<CompletableFuture<Void>> room, boolean last) {}

  /** Waits for the next batch to close. */
  private Turn next(Condition changed) throws InterruptedException {
    lock.lock();
    try {
      idle.addLast(changed);
      try {
        Turn turn = turn();
        while (turn == null) {
          changed.awaitNanos(closesIn(nanoClock.getAsLong()));
          turn = turn();
        }
        return turn;
      } finally {
        idle.remove(changed);
        if (queue.images() > 0) {
          wakeOne(); // There is a share for another session.
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** What there is to do now; null where that is to wait. */
  @GuardedBy("lock") private @Nullable Turn turn() {
    long now = nanoClock.getAsLong();
    int before = queue.images();
    List<ImageTask> expired = queue.removeExpired(now);
    if (!expired.isEmpty()) {
      listener.queueChanged(queue.images() - before);
      return new Turn(List.of(), expired, takeWaitingForRoom(), false);
    }
    if (queue.images() == 0 && closed) {
      return new Turn(List.of(), List.of(), List.of(), true);
    }
    return closesIn(now) > 0 ? null : new Turn(take(now), List.of(), takeWaitingForRoom(), false);
  }

  /** Nanoseconds until the next batch closes, 0 or less if it does now. */
  @GuardedBy("lock") private long closesIn(long now) {
    int queued = queue.images();
    if (queued == 0) {
      return Long.MAX_VALUE;
    }
    if (closed || queued >= largestBatch()) {
      return 0;
    }
    long saved = times.saved(queued);
    if (gapNanos >= saved) {
      return 0;
    }
    return Math.min(
        policy.maxDelay().toNanos() - (now - queue.waitingSince()), saved - (now - lastArrival));
  }

  @GuardedBy("lock") private List<BatchSlice> take(long now) {
    int most = Math.max(largestBatch(), Math.min(policy.maxBatch(), queue.requests() / FEW));
    int room = times.size(queue.images(), networks.size(), most);
    int before = queue.images();
    List<BatchSlice> batch = queue.take(room, now, slowness * measuredNanosPerImage());
    listener.queueChanged(queue.images() - before);
    for (BatchSlice slice : batch) {
      listener.waited(now - slice.job().arrived);
    }
    return batch;
  }

  @GuardedBy("lock") private List<CompletableFuture<Void>> takeWaitingForRoom() {
    if (waitingForRoom.isEmpty()) {
      return List.of();
    }
    List<CompletableFuture<Void>> waiting = waitingForRoom;
    waitingForRoom = new ArrayList<>();
    return waiting;
  }

  private void execute(Network network, List<BatchSlice> batch) {
    int images = 0;
    for (BatchSlice slice : batch) {
      images += slice.count();
    }
    try {
      long nanos = guard.run(name, network, batch, times.nanos(images), listener);
      listener.executed(images, network.padded(images), nanos);
      measured(images, nanos);
    } catch (RuntimeException | Error e) {
      batch.forEach(slice -> slice.job().future.completeExceptionally(e));
      return;
    }
    List<ImageTask> done = new ArrayList<>(batch.size());
    for (BatchSlice slice : batch) {
      if (slice.job().made(slice.count())) {
        done.add(slice.job());
      }
    }
    while (!done.isEmpty()) {
      done = complete(done);
    }
  }

  /** Has all jobs completed that have the first one's answerer; returns the others. */
  private static List<ImageTask> complete(List<ImageTask> done) {
    Executor answerer = done.get(0).answerer;
    List<ImageTask> together = new ArrayList<>(done.size());
    List<ImageTask> others = new ArrayList<>(0);
    for (ImageTask job : done) {
      (job.answerer == answerer ? together : others).add(job);
    }
    try {
      answerer.execute(() -> together.forEach(ImageTask::complete));
    } catch (RuntimeException | Error e) {
      // It has ended, or has no thread for it; whoever still waits must hear of it.
      together.forEach(ImageTask::complete);
    }
    return others;
  }

  private void measured(int images, long nanos) {
    lock.lock();
    try {
      double now = (double) nanos / times.nanos(images);
      slowness += SMOOTHING * (now - slowness);
    } finally {
      lock.unlock();
    }
  }

  /** With all sessions at work, as measured at warm-up. */
  private double measuredNanosPerImage() {
    int size = largestBatch();
    return (double) times.nanos(size) / size / networks.size();
  }

  /** About how long a request of so many images takes that comes now. */
  @GuardedBy("lock") private double nanosToFinish(long images, Priority priority) {
    // With nothing queued the better figure: one that a bad moment spoilt would get no chance to
    // mend while everybody is refused.
    double pace = queue.images() == 0 ? Math.min(1, slowness) : slowness;
    double work = (queue.before(images, priority) + images) * measuredNanosPerImage();
    return pace * Math.max((double) times.nanos(1), work);
  }

  @GuardedBy("lock") private Duration timeToClear() {
    long millis = (long) Math.ceil(queue.images() * slowness * measuredNanosPerImage() / 1e6);
    return Duration.ofMillis(Math.max(1, Math.min(millis, 60_000)));
  }

  private static TooLateException expired(ImageTask job) {
    return new TooLateException(
        "the call's deadline passed before all of its %d images were made".formatted(job.count));
  }
}
