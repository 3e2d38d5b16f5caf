package dev.dcgan.sampler.scheduling;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The queued images, and whose are next: fair queueing. Pure: time is an argument. Not thread-safe.
 *
 * <p>Callers take {@link Turns}, and within a caller its requests do. So the share of a caller does
 * not depend on the number of its requests, and a request for a single image joins the next batch
 * unless its caller has more than its share queued already. A turn is 1, 4 or 16 images, by the
 * priority of the request with which it begins; the images that are left of a caller's turn go to
 * its next requests.
 *
 * <p>The request with the earliest deadline is urgent if it would miss the deadline at its fair
 * share, and then so is its caller.
 */
final class FairQueue {

  private static final Comparator<QueuedRequest> BY_DEADLINE =
      (a, b) ->
          a.deadline == b.deadline
              ? Long.compare(a.number, b.number)
              : Long.signum(a.deadline - b.deadline);

  /** A caller with queued images, or room that is reserved for them. */
  private static final class Caller extends Turns.Flow {
    final Object key;

    // Mutable state
    final Turns<QueuedRequest> requests = new Turns<>();
    int images;
    int reserved;

    /** The sum of {@link QueuedRequest#remaining} over its requests with queued images. */
    long outstanding;

    Caller(Object key) {
      this.key = key;
    }
  }

  // Mutable state
  private final Map<Object, Caller> byKey = new HashMap<>();
  private final Turns<Caller> callers = new Turns<>();
  private final NavigableSet<QueuedRequest> deadlines = new TreeSet<>(BY_DEADLINE);
  private int requests;
  private int images;

  /** The sum of {@link Caller#reserved}. */
  private int reserved;

  /** The sum of {@link Caller#outstanding}. */
  private long outstanding;

  private long nonEmptySince;

  /** Images that are queued. */
  int images() {
    return images;
  }

  /** Requests with images that are queued. */
  int requests() {
    return requests;
  }

  /** Room that is taken: by images that are queued, and by those for which it is reserved. */
  int taken() {
    return images + reserved;
  }

  /** Room that a caller has taken. */
  int takenBy(Object key) {
    Caller caller = byKey.get(key);
    return caller == null ? 0 : caller.images + caller.reserved;
  }

  /** Reserves more room for images of a request that are added next. */
  void reserve(QueuedRequest request, int more) {
    reserve(byKey.computeIfAbsent(request.caller, Caller::new), request, more);
  }

  /** Releases the room that is reserved for a request. */
  void release(QueuedRequest request) {
    if (request.reserved > 0) {
      Caller caller = caller(request);
      reserve(caller, request, -request.reserved);
      removeIfUnused(caller);
    }
  }

  private void reserve(Caller caller, QueuedRequest request, int more) {
    caller.reserved += more;
    request.reserved += more;
    reserved += more;
  }

  /**
   * Estimates how many images of other requests run before the last one of a new request: those of
   * its caller, and what other callers get meanwhile.
   */
  double imagesAhead(Object key, long requested, Priority priority) {
    Caller caller = byKey.get(key);
    if (caller == null || caller.images == 0) {
      return callers.imagesAhead((double) requested, priority, images, outstanding);
    }
    double own =
        caller.requests.imagesAhead(
            (double) requested, priority, caller.images, caller.outstanding);
    double others = (callers.flows() - 1) * (own + requested);
    return own + Math.min((double) (outstanding - caller.outstanding), others);
  }

  /** Since when the queue has not been empty. */
  long nonEmptySince() {
    return nonEmptySince;
  }

  /** Adds a task, for which room is reserved. */
  void add(QueuedRequest request, ImageTask task, long now) {
    if (images == 0) {
      nonEmptySince = now;
    }
    Caller caller = caller(request);
    reserve(caller, request, -task.count);
    if (caller.images == 0) {
      // A stream whose next chunk comes late stays old, and so does its caller.
      caller.hasRun = request.hasRun;
      callers.add(caller);
    }
    if (request.queued == 0) {
      requests++;
      caller.requests.add(request);
      if (request.hasDeadline) {
        deadlines.add(request);
      }
    } else {
      count(caller, 0, -request.remaining);
    }
    request.tasks.add(task);
    request.queued += task.count;
    request.remaining = Math.max(request.remaining, request.queued);
    count(caller, task.count, request.remaining);
  }

  /** Removes what is left of a task; returns how many images that was. */
  int remove(QueuedRequest request, ImageTask task) {
    if (!request.tasks.remove(task)) {
      return 0;
    }
    int left = task.count - task.taken;
    Caller caller = caller(request);
    reduce(caller, request, left);
    removeIfEmpty(caller, request);
    return left;
  }

  /** The tasks with images that are queued. */
  List<ImageTask> tasks() {
    List<ImageTask> tasks = new ArrayList<>();
    byKey
        .values()
        .forEach(caller -> caller.requests.forEach(request -> tasks.addAll(request.tasks)));
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
      left -= grantTurn(urgent(now, nanosPerImage), left, granted);
    }
    List<BatchSlice> batch = new ArrayList<>(granted.size());
    for (QueuedRequest request : granted) {
      slice(request, batch);
    }
    return batch;
  }

  /** The request with the earliest deadline, if it would miss that at its fair share. */
  private @Nullable QueuedRequest urgent(long now, double nanosPerImage) {
    if (deadlines.isEmpty()) {
      return null;
    }
    QueuedRequest first = deadlines.first();
    Caller caller = caller(first);
    double ofCaller =
        Math.min((double) caller.outstanding, (double) caller.requests.flows() * first.remaining);
    double needed = Math.min((double) outstanding, callers.flows() * ofCaller) * nanosPerImage;
    return first.deadline - now < needed ? first : null;
  }

  /** Grants a request its turn, or what fits into the batch; returns how many images that is. */
  private int grantTurn(@Nullable QueuedRequest urgent, int room, List<QueuedRequest> granted) {
    Caller urgentCaller = urgent == null ? null : caller(urgent);
    Caller caller = callers.next(urgentCaller);
    QueuedRequest urgentOfCaller = caller == urgentCaller ? urgent : null;
    QueuedRequest request = caller.requests.next(urgentOfCaller);
    int quantum = request.priority.quantum;
    Turns.begin(caller, callers.flows() == 1 ? room : quantum);
    Turns.begin(request, caller.requests.flows() == 1 ? caller.deficit : quantum);
    int turn = Math.min(caller.deficit, request.deficit);
    int taken = Math.min(turn, Math.min(request.queued, room));
    callers.grant(caller, taken, urgentCaller);
    caller.requests.grant(request, taken, urgentOfCaller);
    if (request.granted == 0) {
      granted.add(request);
    }
    request.granted += taken;
    reduce(caller, request, taken);
    removeIfEmpty(caller, request);
    return taken;
  }

  private Caller caller(QueuedRequest request) {
    return Objects.requireNonNull(byKey.get(request.caller));
  }

  private void reduce(Caller caller, QueuedRequest request, int left) {
    request.queued -= left;
    request.remaining -= left;
    count(caller, -left, -left);
  }

  private void count(Caller caller, int queued, long toCome) {
    caller.images += queued;
    caller.outstanding += toCome;
    images += queued;
    outstanding += toCome;
  }

  private void removeIfEmpty(Caller caller, QueuedRequest request) {
    if (request.queued == 0) {
      requests--;
      count(caller, 0, -request.remaining);
      caller.requests.remove(request);
      deadlines.remove(request);
    }
    if (caller.images == 0) {
      callers.remove(caller);
      removeIfUnused(caller);
    }
  }

  private void removeIfUnused(Caller caller) {
    if (caller.images == 0 && caller.reserved == 0) {
      byKey.remove(caller.key);
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
