package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.v1.GenerateResponse;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Images in order, in chunks, as fast as their reader takes them.
 *
 * <p>At most two chunks are under way, from their queueing to their delivery: one that runs while
 * the other is sent. So a reader that stops to read stops the work after those two, and the memory
 * of a stream does not depend on its length. A stream whose first chunk the queue refuses fails; a
 * later one is tried again when there is room.
 *
 * <p>Thread-safe and never blocking: {@link #pump} is called whenever something may have changed.
 * The stream ends exactly once, by delivery of all, failure, or {@link #cancel}, and then lets go
 * of all that is under way.
 */
public final class ImageStream {

  /** Starts chunks. */
  public interface Source {
    Pending start(long first, int count) throws QueueFullException;

    /** Completed when there may be room for a chunk that was refused. */
    CompletableFuture<Void> whenRoom();
  }

  /** Takes answers. Called by one thread at a time. */
  public interface Sink {
    /** Whether another answer can be sent without being kept in memory. */
    boolean isReady();

    void deliver(GenerateResponse answer);

    void complete();

    void fail(Throwable cause);

    /** The stream has ended in one way or the other. */
    void ended();
  }

  private static final Logger log = LoggerFactory.getLogger(ImageStream.class);
  private static final int MOST_UNDER_WAY = 2;

  /**
   * Chunks in memory: those under way, and one that was delivered and waits to be read; or more
   * that take 32 KiB together, of which gRPC says that the caller may have more.
   */
  public static final int MOST_IN_MEMORY = MOST_UNDER_WAY + 1;

  private final Source source;
  private final Sink sink;
  private final int chunkSize;

  // Mutable state
  @GuardedBy("this") private final Deque<Pending> underWay = new ArrayDeque<>();

  @GuardedBy("this") private long next;

  @GuardedBy("this") private long left;

  @GuardedBy("this") private boolean begun;

  @GuardedBy("this") private boolean ended;

  public ImageStream(long first, long count, int chunkSize, Source source, Sink sink) {
    this.next = first;
    this.left = count;
    this.chunkSize = chunkSize;
    this.source = source;
    this.sink = sink;
  }

  /** Does all that can be done now. */
  public synchronized void pump() {
    try {
      boolean moved = true;
      while (moved && !ended) {
        moved = deliverOldest() || startNext();
      }
    } catch (RuntimeException | Error e) {
      if (ended) {
        log.error("a stream could not be ended in order", e);
        return;
      }
      // The thread that finished a chunk tells nobody what it is thrown: the reader would wait.
      fail(e);
    }
  }

  /** Ends the stream: nobody reads it any more. */
  public synchronized void cancel() {
    if (!ended) {
      end();
    }
  }

  @GuardedBy("this") private boolean deliverOldest() {
    Pending oldest = underWay.peek();
    if (oldest == null || !oldest.answer().isDone()) {
      return false;
    }
    if (oldest.answer().isCompletedExceptionally()) {
      fail(failureOf(oldest.answer()));
      return true;
    }
    if (!sink.isReady()) {
      return false;
    }
    underWay.remove();
    sink.deliver(oldest.answer().join());
    if (left == 0 && underWay.isEmpty()) {
      end();
      sink.complete();
    }
    return true;
  }

  @GuardedBy("this") private boolean startNext() {
    if (left == 0 || underWay.size() == MOST_UNDER_WAY) {
      return false;
    }
    int count = (int) Math.min(chunkSize, left);
    Pending chunk;
    try {
      chunk = source.start(next, count);
    } catch (QueueFullException e) {
      if (!begun) {
        fail(e);
      } else if (underWay.isEmpty()) {
        // With one under way its delivery is the next occasion.
        var unused = source.whenRoom().thenRun(this::pump);
      }
      return false;
    }
    begun = true;
    next += count;
    left -= count;
    underWay.add(chunk);
    var unused = chunk.answer().whenComplete((answer, failure) -> pump());
    return true;
  }

  @GuardedBy("this") private void fail(Throwable cause) {
    end();
    sink.fail(cause);
  }

  @GuardedBy("this") private void end() {
    ended = true;
    underWay.forEach(Pending::cancel);
    underWay.clear();
    sink.ended();
  }

  private static Throwable failureOf(CompletableFuture<?> failed) {
    try {
      failed.join();
      throw new IllegalArgumentException("has not failed");
    } catch (CompletionException e) {
      return e.getCause() == null ? e : e.getCause();
    } catch (CancellationException e) {
      return e;
    }
  }
}
