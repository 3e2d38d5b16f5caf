package dev.dcgan.sampler.batch;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The images that wait, and whose are next. Pure: time is an argument. Not thread-safe.
 *
 * <p>Images are dealt to requests in turns of 1, 4 or 16 images, by priority:
 *
 * <ol>
 *   <li>A request that has had no turn yet is a newcomer, and newcomers come first, in order of
 *       arrival: so one that asks for a single image rides in the next batch.
 *   <li>After its first turn a request goes into the ring, whose members take turns by deficit
 *       round-robin (Shreedhar and Varghese 1995): a turn that the end of a batch cuts short is
 *       continued in the next.
 *   <li>Where there are both, each side gets half of the images, so that no flood of newcomers
 *       stops those in the ring, and none of them a newcomer.
 *   <li>A request that would miss its deadline at its fair share goes before the newcomers, at
 *       their half's expense, the earliest deadline first.
 * </ol>
 */
final class FairQueue {

  private static final Comparator<Request> BY_DEADLINE =
      (a, b) ->
          a.deadline == b.deadline
              ? Long.compare(a.number, b.number)
              : Long.signum(a.deadline - b.deadline);

  // Mutable state
  private final Set<Request> newcomers = new LinkedHashSet<>();
  private final Set<Request> ring = new LinkedHashSet<>();
  private final NavigableSet<Request> deadlines = new TreeSet<>(BY_DEADLINE);
  private int images;
  private long waitingSince;

  /** Images that newcomers had more than the ring since both are there. */
  private int balance;

  /** Images that wait. */
  int images() {
    return images;
  }

  /** Requests with images that wait. */
  int requests() {
    return newcomers.size() + ring.size();
  }

  /** Since when there has always been an image waiting. */
  long waitingSince() {
    return waitingSince;
  }

  void add(Job job, long now) {
    Request request = job.request;
    if (images == 0) {
      waitingSince = now;
    }
    if (request.waiting == 0) {
      (request.served ? ring : newcomers).add(request);
      if (request.hasDeadline) {
        deadlines.add(request);
      }
    }
    request.jobs.add(job);
    request.waiting += job.count;
    images += job.count;
  }

  /** Removes what is left of a job; returns how many images that was. */
  int remove(Job job) {
    Request request = job.request;
    if (!request.jobs.remove(job)) {
      return 0;
    }
    int left = job.count - job.taken;
    images -= left;
    request.waiting -= left;
    leaveIfDone(request);
    return left;
  }

  /** Removes and returns the jobs whose deadline has passed. */
  List<Job> removeExpired(long now) {
    List<Job> expired = new ArrayList<>(0);
    while (!deadlines.isEmpty() && deadlines.first().deadline - now <= 0) {
      List<Job> late = List.copyOf(deadlines.first().jobs);
      late.forEach(this::remove);
      expired.addAll(late);
    }
    return expired;
  }

  /**
   * Takes the next batch.
   *
   * @param room images, at least 1
   * @param nanosPerImage at the rate measured
   */
  List<Slice> take(int room, long now, double nanosPerImage) {
    List<Request> served = new ArrayList<>();
    int left = Math.min(room, images);
    while (left > 0) {
      boolean contested = !ring.isEmpty() && !newcomers.isEmpty();
      boolean newcomersSide = ring.isEmpty() || balance <= 0;
      Request request = next(newcomersSide, now, nanosPerImage);
      int granted = turn(request, left, served);
      balance = contested ? balance + (newcomersSide ? granted : -granted) : 0;
      left -= granted;
    }
    List<Slice> batch = new ArrayList<>(served.size());
    for (Request request : served) {
      cut(request, batch);
    }
    return batch;
  }

  private Request next(boolean newcomersSide, long now, double nanosPerImage) {
    if (newcomersSide) {
      Request tight = tightest(now, nanosPerImage);
      if (tight != null) {
        return tight;
      }
      if (!newcomers.isEmpty()) {
        return newcomers.iterator().next();
      }
    }
    return ring.iterator().next();
  }

  /** The request with the earliest deadline, where its fair share would come too late. */
  private @Nullable Request tightest(long now, double nanosPerImage) {
    if (deadlines.isEmpty()) {
      return null;
    }
    Request first = deadlines.first();
    double before = Math.min(images, (double) requests() * first.waiting);
    return first.deadline - now < before * nanosPerImage ? first : null;
  }

  /** Grants a request its turn, or what there is room for; returns how many images that is. */
  private int turn(Request request, int room, List<Request> served) {
    if (request.deficit == 0) {
      request.deficit = requests() == 1 ? room : request.priority.quantum;
    }
    int granted = Math.min(request.deficit, Math.min(request.waiting, room));
    if (request.granted == 0) {
      served.add(request);
    }
    request.granted += granted;
    request.waiting -= granted;
    request.deficit -= granted;
    images -= granted;
    if (newcomers.remove(request)) {
      request.served = true;
      ring.add(request);
    } else if (request.deficit == 0) {
      ring.remove(request);
      ring.add(request);
    }
    leaveIfDone(request);
    return granted;
  }

  private void leaveIfDone(Request request) {
    if (request.waiting == 0) {
      newcomers.remove(request);
      ring.remove(request);
      deadlines.remove(request);
      request.deficit = 0;
    }
  }

  /** Turns what was granted into slices of the request's jobs, in order. */
  private static void cut(Request request, List<Slice> batch) {
    while (request.granted > 0) {
      Job job = request.jobs.element();
      Slice slice = new Slice(job, job.taken, Math.min(request.granted, job.count - job.taken));
      batch.add(slice);
      job.taken += slice.count();
      request.granted -= slice.count();
      if (job.taken == job.count) {
        request.jobs.remove();
      }
    }
  }
}
