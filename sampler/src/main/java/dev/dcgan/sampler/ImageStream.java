package dev.dcgan.sampler;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.sampler.batch.Images;
import dev.dcgan.sampler.batch.QueueFullException;
import dev.dcgan.v1.GenerateResponse;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Images in order, in chunks, as fast as their reader takes them.
 *
 * <p>At most two chunks are under way, from their queueing to their delivery: one that runs while
 * the other is sent. So a reader that stops to read stops the work after those two, and the memory
 * of a stream does not depend on its length. A chunk that the queue refuses is tried again when the
 * other is delivered; a stream with nothing under way fails.
 *
 * <p>Thread-safe and never blocking: {@link #pump} is called whenever something may have changed.
 * The stream ends exactly once, by delivery of all, failure, or {@link #cancel}, and then lets go
 * of all that is under way.
 */
final class ImageStream {

  /** One chunk: the images under way, and the answer that they become. */
  record Chunk(CompletableFuture<Images> images, CompletableFuture<GenerateResponse> answer) {}

  /** Starts chunks. */
  interface Source {
    Chunk start(long first, int count) throws QueueFullException;
  }

  /** Takes answers. Called by one thread at a time. */
  interface Sink {
    /** Whether another answer can be sent without being kept in memory. */
    boolean isReady();

    void deliver(GenerateResponse answer);

    void complete();

    void fail(Throwable cause);

    /** The stream has ended in one way or the other. */
    void ended();
  }

  private static final int MOST_UNDER_WAY = 2;

  private final Source source;
  private final Sink sink;
  private final int chunkSize;

  // Mutable state
  @GuardedBy("this") private final Deque<Chunk> underWay = new ArrayDeque<>();

  @GuardedBy("this") private long next;

  @GuardedBy("this") private long left;

  @GuardedBy("this") private boolean ended;

  ImageStream(long first, long count, int chunkSize, Source source, Sink sink) {
    this.next = first;
    this.left = count;
    this.chunkSize = chunkSize;
    this.source = source;
    this.sink = sink;
  }

  /** Does all that can be done now. */
  synchronized void pump() {
    try {
      boolean moved = true;
      while (moved && !ended) {
        moved = deliverOldest() || startNext();
      }
    } catch (RuntimeException | Error e) {
      if (ended) {
        throw e;
      }
      // The thread that finished a chunk tells nobody what it is thrown: the reader would wait.
      fail(e);
    }
  }

  /** Ends the stream: nobody reads it any more. */
  synchronized void cancel() {
    if (!ended) {
      end();
    }
  }

  @GuardedBy("this") private boolean deliverOldest() {
    Chunk oldest = underWay.peek();
    if (oldest == null || !oldest.answer.isDone()) {
      return false;
    }
    if (oldest.answer.isCompletedExceptionally()) {
      fail(failureOf(oldest.answer));
      return true;
    }
    if (!sink.isReady()) {
      return false;
    }
    underWay.remove();
    sink.deliver(oldest.answer.join());
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
    Chunk chunk;
    try {
      chunk = source.start(next, count);
    } catch (QueueFullException e) {
      if (underWay.isEmpty()) {
        fail(e);
      }
      return false;
    }
    next += count;
    left -= count;
    underWay.add(chunk);
    var unused = chunk.answer.whenComplete((answer, failure) -> pump());
    return true;
  }

  @GuardedBy("this") private void fail(Throwable cause) {
    end();
    sink.fail(cause);
  }

  @GuardedBy("this") private void end() {
    ended = true;
    underWay.forEach(chunk -> chunk.images.cancel(false));
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
