package dev.dcgan.sampler.scheduling;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The queued images, and whose are next: fair queueing. Pure: time is an argument. Not thread-safe.
 *
 * <p>A turn of a request is 1, 4 or 16 images, by priority. As in FQ-CoDel (RFC 8290) there are two
 * lists:
 *
 * <ol>
 *   <li>A request that has not finished its first turn is new. New requests come first, in order of
 *       arrival, so that a request for a single image joins the next batch.
 *   <li>Old requests take turns by deficit round-robin (Shreedhar and Varghese 1995). A turn that
 *       the end of a batch interrupts is continued in the next.
 *   <li>Where both lists have requests, each gets half of the images, so that a flood of new
 *       requests does not starve old ones, and old requests delay no new one.
 *   <li>The request with the earliest deadline goes before the new ones if it would miss the
 *       deadline at its fair share; the images count as those of new requests.
 * </ol>
 */
final class FairQueue {

  private static final Comparator<QueuedRequest> BY_DEADLINE =
      (a, b) ->
          a.deadline == b.deadline
              ? Long.compare(a.number, b.number)
              : Long.signum(a.deadline - b.deadline);

  // Mutable state
  private final Set<QueuedRequest> newRequests = new LinkedHashSet<>();
  private final Set<QueuedRequest> oldRequests = new LinkedHashSet<>();
  private final NavigableSet<QueuedRequest> deadlines = new TreeSet<>(BY_DEADLINE);
  private int images;

  /** The sum of {@link QueuedRequest#remaining} over requests with queued images. */
  private long outstanding;

  private long nonEmptySince;

  /** How many more images new requests got than old ones since both lists have requests. */
  private int balance;

  /** Images that are queued. */
  int images() {
    return images;
  }

  /** Requests with images that are queued. */
  int requests() {
    return newRequests.size() + oldRequests.size();
  }

  /**
   * Estimates how many images of other requests run before a new request's last one: the first
   * turns of the new requests and as many images of old ones, and then from each request no more
   * than the new one has beyond its first turn.
   */
  double imagesAhead(long requested, Priority priority) {
    double firstTurns = 2.0 * newRequests.size() * Priority.NORMAL.quantum;
    double fairShares = (double) requests() * Math.max(0, requested - priority.quantum);
    return Math.min((double) outstanding, Math.min(images, firstTurns) + fairShares);
  }

  /** Since when the queue has not been empty. */
  long nonEmptySince() {
    return nonEmptySince;
  }

  void add(QueuedRequest request, ImageTask task, long now) {
    if (images == 0) {
      nonEmptySince = now;
    }
    if (request.queued == 0) {
      (request.hasRun ? oldRequests : newRequests).add(request);
      if (request.hasDeadline) {
        deadlines.add(request);
      }
    }
    request.tasks.add(task);
    if (request.queued > 0) {
      outstanding -= request.remaining;
    }
    request.queued += task.count;
    request.remaining = Math.max(request.remaining, request.queued);
    outstanding += request.remaining;
    images += task.count;
  }

  /** Removes what is left of a task; returns how many images that was. */
  int remove(QueuedRequest request, ImageTask task) {
    if (!request.tasks.remove(task)) {
      return 0;
    }
    int left = task.count - task.taken;
    images -= left;
    outstanding -= left;
    request.queued -= left;
    request.remaining -= left;
    removeIfEmpty(request);
    return left;
  }

  /** The tasks with images that are queued. */
  List<ImageTask> tasks() {
    List<ImageTask> tasks = new ArrayList<>();
    newRequests.forEach(request -> tasks.addAll(request.tasks));
    oldRequests.forEach(request -> tasks.addAll(request.tasks));
    return tasks;
  }

  /** Removes and returns the tasks whose deadline has passed. */
  List<ImageTask> removeExpired(long now) {
    List<ImageTask> expired = new ArrayList<>(0);
    while (!deadlines.isEmpty() && deadlines.first().deadline - now <= 0) {
      QueuedRequest request = deadlines.first();
      List<ImageTask> late = List.copyOf(request.tasks);
      late.forEach(task -> remove(request, task));
      expired.addAll(late);
    }
    return expired;
  }

  /**
   * Takes the next batch.
   *
   * @param size images, at least 1; fewer where fewer are queued
   * @param nanosPerImage estimated, for requests that have a deadline
   */
  List<BatchSlice> take(int size, long now, double nanosPerImage) {
    List<QueuedRequest> granted = new ArrayList<>();
    int left = Math.min(size, images);
    while (left > 0) {
      QueuedRequest urgent = urgent(now, nanosPerImage);
      boolean contended = !oldRequests.isEmpty() && (urgent != null || !newRequests.isEmpty());
      boolean takeNew = oldRequests.isEmpty() || (contended && balance <= 0);
      QueuedRequest request = next(takeNew, urgent);
      int taken = grantTurn(request, left, granted);
      balance = contended ? balance + (takeNew ? taken : -taken) : 0;
      left -= taken;
    }
    List<BatchSlice> batch = new ArrayList<>(granted.size());
    for (QueuedRequest request : granted) {
      slice(request, batch);
    }
    return batch;
  }

  private QueuedRequest next(boolean takeNew, @Nullable QueuedRequest urgent) {
    if (takeNew && urgent != null) {
      return urgent;
    }
    return (takeNew ? newRequests : oldRequests).iterator().next();
  }

  /** The request with the earliest deadline, if it would miss that at its fair share. */
  private @Nullable QueuedRequest urgent(long now, double nanosPerImage) {
    if (deadlines.isEmpty()) {
      return null;
    }
    QueuedRequest first = deadlines.first();
    double needed =
        Math.min((double) outstanding, (double) requests() * first.remaining) * nanosPerImage;
    return first.deadline - now < needed ? first : null;
  }

  /** Grants a request its turn, or what fits into the batch; returns how many images that is. */
  private int grantTurn(QueuedRequest request, int room, List<QueuedRequest> granted) {
    if (request.deficit == 0) {
      request.deficit = requests() == 1 ? room : request.priority.quantum;
    }
    int taken = Math.min(request.deficit, Math.min(request.queued, room));
    if (request.granted == 0) {
      granted.add(request);
    }
    request.granted += taken;
    request.queued -= taken;
    request.remaining -= taken;
    request.deficit -= taken;
    request.hasRun = true;
    images -= taken;
    outstanding -= taken;
    if (request.deficit == 0) {
      newRequests.remove(request);
      oldRequests.remove(request);
      oldRequests.add(request);
    }
    removeIfEmpty(request);
    return taken;
  }

  private void removeIfEmpty(QueuedRequest request) {
    if (request.queued == 0) {
      outstanding -= request.remaining;
      newRequests.remove(request);
      oldRequests.remove(request);
      deadlines.remove(request);
      request.deficit = 0;
    }
  }

  /** Turns the granted images into slices of the request's tasks, in order. */
  private static void slice(QueuedRequest request, List<BatchSlice> batch) {
    while (request.granted > 0) {
      ImageTask task = request.tasks.element();
      int count = Math.min(request.granted, task.count - task.taken);
      batch.add(new BatchSlice(task, task.taken, count));
      task.taken += count;
      request.granted -= count;
      if (task.taken == task.count) {
        request.tasks.remove();
      }
    }
  }
}
