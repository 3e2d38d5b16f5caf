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
 * The images that wait, and whose are next. Pure: time is an argument. Not thread-safe.
 *
 * <p>Images are dealt to requests in turns of 1, 4 or 16 images, by priority:
 *
 * <ol>
 *   <li>A request that has not had its first turn is a newcomer, and newcomers come first, in order
 *       of arrival: so one that asks for a single image rides in the next batch.
 *   <li>Then it goes into the ring, whose members take turns by deficit round-robin (Shreedhar and
 *       Varghese 1995). A turn that the end of a batch cuts short is continued in the next.
 *   <li>Where there are both, each side gets half of the images, so that no flood of newcomers
 *       stops those in the ring, and the ring no newcomer.
 *   <li>The request with the earliest deadline, where it would miss that at its fair share, goes
 *       before the newcomers, at their half's expense.
 * </ol>
 */
final class FairQueue {

  private static final Comparator<QueuedRequest> BY_DEADLINE =
      (a, b) ->
          a.deadline == b.deadline
              ? Long.compare(a.number, b.number)
              : Long.signum(a.deadline - b.deadline);

  // Mutable state
  private final Set<QueuedRequest> newcomers = new LinkedHashSet<>();
  private final Set<QueuedRequest> ring = new LinkedHashSet<>();
  private final NavigableSet<QueuedRequest> deadlines = new TreeSet<>(BY_DEADLINE);
  private int images;
  private long outstanding;
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

  /**
   * About how many images of others go before a request's last one: of newcomers their first turn
   * and as much of the ring's beside it; and of each no more than the request has beyond its own.
   */
  double before(long asked, Priority priority) {
    double first = 2.0 * newcomers.size() * Priority.NORMAL.quantum;
    double rest = (double) requests() * Math.max(0, asked - priority.quantum);
    return Math.min((double) outstanding, Math.min(images, first) + rest);
  }

  /** Since when there has always been an image waiting. */
  long waitingSince() {
    return waitingSince;
  }

  void add(ImageTask job, long now) {
    QueuedRequest request = job.request;
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
    if (request.waiting > 0) {
      outstanding -= request.remaining;
    }
    request.waiting += job.count;
    request.remaining = Math.max(request.remaining, request.waiting);
    outstanding += request.remaining;
    images += job.count;
  }

  /** Removes what is left of a job; returns how many images that was. */
  int remove(ImageTask job) {
    QueuedRequest request = job.request;
    if (!request.jobs.remove(job)) {
      return 0;
    }
    int left = job.count - job.taken;
    images -= left;
    outstanding -= left;
    request.waiting -= left;
    request.remaining -= left;
    leaveIfDone(request);
    return left;
  }

  /** The jobs with images that wait. */
  List<ImageTask> jobs() {
    List<ImageTask> jobs = new ArrayList<>();
    newcomers.forEach(request -> jobs.addAll(request.jobs));
    ring.forEach(request -> jobs.addAll(request.jobs));
    return jobs;
  }

  /** Removes and returns the jobs whose deadline has passed. */
  List<ImageTask> removeExpired(long now) {
    List<ImageTask> expired = new ArrayList<>(0);
    while (!deadlines.isEmpty() && deadlines.first().deadline - now <= 0) {
      List<ImageTask> late = List.copyOf(deadlines.first().jobs);
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
  List<BatchSlice> take(int room, long now, double nanosPerImage) {
    List<QueuedRequest> served = new ArrayList<>();
    int left = Math.min(room, images);
    while (left > 0) {
      QueuedRequest tight = tightest(now, nanosPerImage);
      boolean contested = !ring.isEmpty() && (tight != null || !newcomers.isEmpty());
      boolean newcomersSide = ring.isEmpty() || (contested && balance <= 0);
      QueuedRequest request = next(newcomersSide, tight);
      int granted = turn(request, left, served);
      balance = contested ? balance + (newcomersSide ? granted : -granted) : 0;
      left -= granted;
    }
    List<BatchSlice> batch = new ArrayList<>(served.size());
    for (QueuedRequest request : served) {
      cut(request, batch);
    }
    return batch;
  }

  private QueuedRequest next(boolean newcomersSide, @Nullable QueuedRequest tight) {
    if (newcomersSide && tight != null) {
      return tight;
    }
    return (newcomersSide ? newcomers : ring).iterator().next();
  }

  /** The request with the earliest deadline, where its fair share would come too late. */
  private @Nullable QueuedRequest tightest(long now, double nanosPerImage) {
    if (deadlines.isEmpty()) {
      return null;
    }
    QueuedRequest first = deadlines.first();
    double needed =
        Math.min((double) outstanding, (double) requests() * first.remaining) * nanosPerImage;
    return first.deadline - now < needed ? first : null;
  }

  /** Grants a request its turn, or what there is room for; returns how many images that is. */
  private int turn(QueuedRequest request, int room, List<QueuedRequest> served) {
    if (request.deficit == 0) {
      request.deficit = requests() == 1 ? room : request.priority.quantum;
    }
    int granted = Math.min(request.deficit, Math.min(request.waiting, room));
    if (request.granted == 0) {
      served.add(request);
    }
    request.granted += granted;
    request.waiting -= granted;
    request.remaining -= granted;
    request.deficit -= granted;
    request.served = true;
    images -= granted;
    outstanding -= granted;
    if (request.deficit == 0) {
      newcomers.remove(request);
      ring.remove(request);
      ring.add(request);
    }
    leaveIfDone(request);
    return granted;
  }

  private void leaveIfDone(QueuedRequest request) {
    if (request.waiting == 0) {
      outstanding -= request.remaining;
      newcomers.remove(request);
      ring.remove(request);
      deadlines.remove(request);
      request.deficit = 0;
    }
  }

  /** Turns what was granted into slices of the request's jobs, in order. */
  private static void cut(QueuedRequest request, List<BatchSlice> batch) {
    while (request.granted > 0) {
      ImageTask job = request.jobs.element();
      BatchSlice slice = new BatchSlice(job, job.taken, Math.min(request.granted, job.count - job.taken));
      batch.add(slice);
      job.taken += slice.count();
      request.granted -= slice.count();
      if (job.taken == job.count) {
        request.jobs.remove();
      }
    }
  }
}
