package dev.dcgan.sampler.batch;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The jobs that wait, first come, first served, and the law of when a batch closes. Pure: time is
 * an argument. Not thread-safe.
 */
final class BatchQueue {

  private final int maxBatch;
  private final long maxDelayNanos;

  // Mutable state
  private final Set<Job> jobs = new LinkedHashSet<>();
  private int images;

  BatchQueue(BatchPolicy policy) {
    maxBatch = policy.maxBatch();
    maxDelayNanos = policy.maxDelay().toNanos();
  }

  /** Images that wait. */
  int images() {
    return images;
  }

  /** Adds a job that arrives {@code now}; {@code idle} says that nothing runs at this moment. */
  void add(Job job, long now, boolean idle) {
    job.arrived = now;
    job.alone = idle && jobs.isEmpty();
    jobs.add(job);
    images += job.count;
  }

  /** Removes what is left of a job; returns how many images that was. */
  int remove(Job job) {
    if (!jobs.remove(job)) {
      return 0;
    }
    int left = job.count - job.taken;
    images -= left;
    return left;
  }

  /** Nanoseconds until the next batch closes, 0 or less if it does now; the queue is not empty. */
  long closesIn(long now) {
    Job oldest = jobs.iterator().next();
    if (images >= maxBatch || oldest.alone) {
      return 0;
    }
    return maxDelayNanos - (now - oldest.arrived);
  }

  /** Takes the next batch: up to maxBatch images, oldest first. */
  List<Slice> take() {
    List<Slice> batch = new ArrayList<>();
    int room = maxBatch;
    Iterator<Job> oldestFirst = jobs.iterator();
    while (room > 0 && oldestFirst.hasNext()) {
      Job job = oldestFirst.next();
      Slice slice = new Slice(job, job.taken, Math.min(room, job.count - job.taken));
      job.taken += slice.count();
      room -= slice.count();
      images -= slice.count();
      batch.add(slice);
      if (job.taken == job.count) {
        oldestFirst.remove();
      }
    }
    return batch;
  }
}
