package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.MemoryShares;
import dev.dcgan.server.ReadTime;
import dev.dcgan.server.StallCheck;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The memory for responses of all protocols, from the admission of a request until its client has
 * the response or is gone. Thread-safe.
 *
 * <p>It is shared among connections and client addresses by {@link MemoryShares}: clients that do
 * not read are refused before others are, and one address cannot use all of it. A response that its
 * client does not read within {@link ReadTime} is cancelled.
 */
public final class ResponseBudget implements StallCheck.Responses {

  /** The most bytes that a gRPC client receives in one message, unless configured otherwise. */
  public static final int MAX_RESPONSE_BYTES = 4 << 20;

  // A client that reads has its responses by then.
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

  private final MemoryShares shares;
  private final LongSupplier nanoTime;
  private final Set<Reservation> sent = ConcurrentHashMap.newKeySet();

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
    this.nanoTime = nanoTime;
  }

  /**
   * Bytes that one response may take. Closing it gives them back; closing it again does nothing.
   */
  public final class Reservation implements AutoCloseable {

    private final ClientConnection connection;
    private final long bytes;

    // Mutable state
    @GuardedBy("this") private long deadline;

    @GuardedBy("this") private @Nullable Runnable cancel;

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
        deadline = nanoTime.getAsLong() + ReadTime.DEFAULT.of(bytes).toNanos();
        this.cancel = cancel;
        sent.add(this);
      }
    }

    /** The client has read what was sent. */
    public synchronized void read() {
      cancel = null;
      sent.remove(this);
    }

    private synchronized void extend(long nanos) {
      deadline += nanos;
    }

    private synchronized @Nullable Runnable takeStalled(long now) {
      Runnable action = now - deadline > 0 ? cancel : null;
      if (action != null) {
        read();
      }
      return action;
    }

    @Override
    public void close() {
      synchronized (this) {
        if (closed) {
          return;
        }
        closed = true;
        read();
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

  /** To be called every second. */
  @Override
  public void cancelStalled() {
    long now = nanoTime.getAsLong();
    List<Runnable> actions = new ArrayList<>();
    for (Reservation each : sent) {
      Runnable action = each.takeStalled(now);
      if (action != null) {
        actions.add(action);
      }
    }
    actions.forEach(Runnable::run);
  }

  @Override
  public void extend(Duration time) {
    sent.forEach(each -> each.extend(time.toNanos()));
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
