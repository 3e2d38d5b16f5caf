package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.QueueFullException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends the images of a request in order, in chunks, as fast as its client reads them.
 *
 * <p>At most two chunks are in flight between their submission and their delivery: one runs while
 * the other is sent. So a client that stops reading stops the work after those two, and the memory
 * of a stream does not depend on its length. A stream whose first chunk the queue refuses fails; a
 * later chunk is submitted again when there is room.
 *
 * <p>Thread-safe and never blocking: {@link #pump} is called whenever something may have changed.
 * The stream ends exactly once, by delivery of all chunks, by a failure, or by {@link #cancel}, and
 * then releases all that is in flight.
 */
public final class ImageStream<R> {

  /** Images in flight, and the response that they become. */
  record Chunk<R>(CompletableFuture<Images> images, CompletableFuture<R> result) {}

  /** Starts chunks. */
  interface Source<R> {
    Chunk<R> start(long first, int count) throws QueueFullException;

    /** Completes when there may be room for a chunk that was refused. */
    CompletableFuture<Void> whenRoom();
  }

  private static final Logger log = LoggerFactory.getLogger(ImageStream.class);
  private static final int MAX_CHUNKS_IN_FLIGHT = 2;

  /**
   * Chunks in memory: those in flight, and one that was sent and waits to be read; or more if they
   * take 32 KiB together, up to which gRPC says that a client is ready for more.
   */
  static final int MAX_CHUNKS_IN_MEMORY = MAX_CHUNKS_IN_FLIGHT + 1;

  private final Source<R> source;
  private final ResponseSink<R> sink;
  private final Runnable onEnd;
  private final int chunkSize;

  // Mutable state
  @GuardedBy("this") private final Deque<Chunk<R>> inFlight = new ArrayDeque<>();

  @GuardedBy("this") private long next;

  @GuardedBy("this") private long left;

  @GuardedBy("this") private boolean begun;

  @GuardedBy("this") private boolean ended;

  /**
   * A stream that begins with {@link #pump}.
   *
   * @param onEnd called once, when the stream has ended in one way or another
   */
  ImageStream(
      long first,
      long count,
      int chunkSize,
      Source<R> source,
      ResponseSink<R> sink,
      Runnable onEnd) {
    this.next = first;
    this.left = count;
    this.chunkSize = chunkSize;
    this.source = source;
    this.sink = sink;
    this.onEnd = onEnd;
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
      // The thread that finished a chunk reports to nobody: the client would wait.
      fail(e);
    }
  }

  /** Ends the stream: its client is gone. */
  public synchronized void cancel() {
    if (!ended) {
      end();
    }
  }

  @GuardedBy("this") private boolean deliverOldest() {
    Chunk<R> oldest = inFlight.peek();
    if (oldest == null || !oldest.result().isDone()) {
      return false;
    }
    if (oldest.result().isCompletedExceptionally()) {
      fail(oldest.result().handle((result, failure) -> failure).join());
      return true;
    }
    if (!sink.isReady()) {
      return false;
    }
    inFlight.remove();
    sink.send(oldest.result().join());
    if (left == 0 && inFlight.isEmpty()) {
      end();
      sink.complete();
    }
    return true;
  }

  @GuardedBy("this") private boolean startNext() {
    if (left == 0 || inFlight.size() == MAX_CHUNKS_IN_FLIGHT) {
      return false;
    }
    int count = (int) Math.min(chunkSize, left);
    Chunk<R> chunk;
    try {
      chunk = source.start(next, count);
    } catch (QueueFullException e) {
      if (!begun) {
        fail(e);
      } else if (inFlight.isEmpty()) {
        // With a chunk in flight its delivery is the next occasion.
        var unused = source.whenRoom().thenRun(this::pump);
      }
      return false;
    }
    begun = true;
    next += count;
    left -= count;
    inFlight.add(chunk);
    var unused = chunk.result().whenComplete((result, failure) -> pump());
    return true;
  }

  @GuardedBy("this") private void fail(Throwable cause) {
    end();
    sink.fail(RequestException.of(cause));
  }

  @GuardedBy("this") private void end() {
    ended = true;
    inFlight.forEach(chunk -> chunk.images().cancel(false));
    inFlight.clear();
    onEnd.run();
  }
}
