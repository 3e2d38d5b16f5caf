package dev.dcgan.sampler.scheduling;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A listener that tests can wait on. */
public final class QueueWatch implements BatchListener {

  private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(30);

  @GuardedBy("this") private int queued;

  @GuardedBy("this") private final List<Integer> batches = new ArrayList<>();

  @GuardedBy("this") private final List<Failure.Kind> failures = new ArrayList<>();

  @Override
  public synchronized void queueChanged(int images) {
    queued += images;
    notifyAll();
  }

  @Override
  public void waited(long nanos) {}

  @Override
  public synchronized void executed(int images, int padded, long nanos) {
    batches.add(images);
  }

  @Override
  public synchronized void failed(Failure.Kind kind) {
    failures.add(kind);
  }

  /** What became of runs that failed. */
  public synchronized List<Failure.Kind> failures() {
    return List.copyOf(failures);
  }

  /** Images that are queued. */
  public synchronized int queued() {
    return queued;
  }

  /** Sizes of the batches that ran. */
  public synchronized List<Integer> batches() {
    return List.copyOf(batches);
  }

  /** Waits until so many images are queued. */
  public synchronized void awaitQueued(int images) throws InterruptedException {
    long start = System.nanoTime();
    while (queued != images) {
      long left = LIMIT_NANOS - (System.nanoTime() - start);
      if (left <= 0) {
        throw new AssertionError(queued + " images are queued; expected " + images);
      }
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
  }
}
