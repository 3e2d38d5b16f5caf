package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The memory for responses of all protocols, from the admission of a request until its client has
 * the response or is gone, shared among connections. Thread-safe.
 *
 * <p>A connection may use as much as it leaves free: one connection may use 1/2 of the budget, each
 * of n connections 1/(n+1) (Choudhury and Hahne 1998, <i>Dynamic queue length thresholds for
 * shared-memory packet switches</i>, with alpha 1). So clients that do not read are refused before
 * others are, and the budget is never exceeded, however many they are.
 */
public final class ResponseBudget {

  /** The most bytes that a gRPC client receives in one message, unless configured otherwise. */
  public static final int MAX_RESPONSE_BYTES = 4 << 20;

  // A client that reads has its responses by then.
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

  private final long size;

  // Mutable state
  @GuardedBy("this") private final Map<Object, Long> reserved = new HashMap<>();

  @GuardedBy("this") private long free;

  /**
   * A budget that nothing is reserved of.
   *
   * @param size bytes
   */
  public ResponseBudget(long size) {
    this.size = size;
    this.free = size;
  }

  /**
   * Bytes that one response may take. Closing it gives them back; closing it again does nothing.
   */
  public final class Reservation implements AutoCloseable {

    private final Object connection;
    private final long bytes;
    private final AtomicBoolean closed = new AtomicBoolean();

    private Reservation(Object connection, long bytes) {
      this.connection = connection;
      this.bytes = bytes;
    }

    @Override
    public void close() {
      if (closed.compareAndSet(false, true)) {
        release(connection, bytes);
      }
    }
  }

  /**
   * Reserves memory for a response.
   *
   * @param connection equal for requests of one connection
   * @throws RequestException OVERLOADED: this connection cannot have as much now
   */
  public synchronized Reservation reserve(Object connection, long bytes) {
    long own = reserved.getOrDefault(connection, 0L);
    if (own + bytes > free - bytes) {
      throw RequestException.overloaded(
          "no memory for a response of up to %d KiB: unread responses of this connection take %d KiB, and %d KiB are free for all connections; read them first, or make fewer requests at once"
              .formatted(kib(bytes), kib(own), free >> 10),
          RETRY_AFTER);
    }
    reserved.put(connection, own + bytes);
    free -= bytes;
    return new Reservation(connection, bytes);
  }

  private synchronized void release(Object connection, long bytes) {
    reserved.computeIfPresent(connection, (key, own) -> own == bytes ? null : own - bytes);
    free += bytes;
  }

  public long size() {
    return size;
  }

  /** Bytes that are reserved now. */
  public synchronized long reserved() {
    return size - free;
  }

  private static long kib(long bytes) {
    return (bytes + 1023) >> 10;
  }
}
