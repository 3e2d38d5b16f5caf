package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.MemoryShares;
import dev.dcgan.server.ReadTime;
import dev.dcgan.server.UnreadResponses;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * The memory for responses of all protocols, from the admission of a request until its client has
 * the response or is gone. Thread-safe.
 *
 * <p>It is shared among connections and client addresses by {@link MemoryShares}: clients that do
 * not read are refused before others are, and one address cannot use all of it. A response that its
 * client does not read within {@link ReadTime} is cancelled.
 */
public final class ResponseBudget {

  /** The most bytes that a gRPC client receives in one message, unless configured otherwise. */
  public static final int MAX_RESPONSE_BYTES = 4 << 20;

  // A client that reads has its responses by then.
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

  private final MemoryShares shares;
  private final UnreadResponses unread;

  /**
   * A budget that nothing is reserved of.
   *
   * @param size bytes
   */
  public ResponseBudget(long size) {
    this(size, System::nanoTime);
  }

  /** A budget with another clock than {@link System#nanoTime}. */
  public ResponseBudget(long size, LongSupplier nanoTime) {
    shares = new MemoryShares(size);
    unread = new UnreadResponses(nanoTime);
  }

  /**
   * Bytes that one response may take. Closing it gives them back; closing it again does nothing.
   */
  public final class Reservation implements AutoCloseable {

    private final ClientConnection connection;
    private final long bytes;
    private final UnreadResponses.Response response = unread.response();

    // Mutable state
    @GuardedBy("this") private boolean closed;

    private Reservation(ClientConnection connection, long bytes) {
      this.connection = connection;
      this.bytes = bytes;
    }

    /**
     * From now on the client has {@link ReadTime} to read what was sent.
     *
     * @param cancel runs once if it does not; ends the response, and closes this then
     */
    public synchronized void sent(Runnable cancel) {
      if (!closed) {
        response.sent(bytes, cancel);
      }
    }

    /** The client has read what was sent. */
    public void read() {
      response.read();
    }

    @Override
    public void close() {
      synchronized (this) {
        if (closed) {
          return;
        }
        closed = true;
        response.read();
      }
      shares.release(connection, bytes);
    }
  }

  /**
   * Reserves memory for a response.
   *
   * @throws RequestException OVERLOADED: this connection cannot have as much now
   */
  public Reservation reserve(ClientConnection connection, long bytes) {
    if (!shares.tryReserve(connection, bytes)) {
      throw RequestException.overloaded(
          ("no memory for a response of up to %d KiB: unread responses of this connection take"
                  + " %d KiB, and %d KiB are free for all connections of this address; read them"
                  + " first, or make fewer requests at once")
              .formatted(
                  kib(bytes), kib(shares.used(connection)), shares.available(connection) >> 10),
          RETRY_AFTER);
    }
    return new Reservation(connection, bytes);
  }

  /** The responses that were sent of this budget. */
  public UnreadResponses unread() {
    return unread;
  }

  public long size() {
    return shares.size();
  }

  /** Bytes that are reserved now. */
  public long reserved() {
    return shares.used();
  }

  private static long kib(long bytes) {
    return (bytes + 1023) >> 10;
  }
}
