package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.Errors;
import dev.dcgan.server.MemoryShares;
import dev.dcgan.server.ReadTime;
import dev.dcgan.server.UnreadResponses;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Limits the bytes of responses that clients have not read, over gRPC and HTTP together: {@link
 * MemoryShares}. A response over gRPC that its client does not read within {@link ReadTime} is
 * cancelled; over HTTP the server does that. Thread-safe.
 */
final class ResponseBudget {

  static final int MAX_BYTES = 64 << 20;

  private final MemoryShares memory = new MemoryShares(MAX_BYTES);
  private final UnreadResponses unread;

  ResponseBudget() {
    this(System::nanoTime);
  }

  /** A budget with another clock than {@link System#nanoTime}. */
  ResponseBudget(LongSupplier nanoTime) {
    unread = new UnreadResponses(nanoTime);
  }

  /** What one call uses of the budget. */
  final class Share {

    private final ClientConnection connection;
    private final UnreadResponses.Response response = unread.response();

    // Mutable state
    @GuardedBy("this") private int bytes;

    @GuardedBy("this") private boolean released;

    private Share(ClientConnection connection) {
      this.connection = connection;
    }

    /** Acquires room for a response, or for more of it; false if there is none. */
    synchronized boolean acquire(int size) {
      if (!released) {
        if (!memory.tryReserve(connection, size)) {
          return false;
        }
        bytes += size;
      }
      return true;
    }

    /**
     * From now on the client has {@link ReadTime} to read what was sent.
     *
     * @param reset runs once if it does not, and cancels the call
     */
    synchronized void sent(Runnable reset) {
      if (!released) {
        response.sent(bytes, reset);
      }
    }

    /** The client has read what was sent; more may follow. */
    synchronized void read() {
      response.read();
      if (bytes > 0) {
        memory.release(connection, bytes);
        bytes = 0;
      }
    }

    /** The client has read the response, or has cancelled the call; idempotent. */
    synchronized void release() {
      released = true;
      read();
    }
  }

  /** The share of a call, which has acquired nothing yet. */
  Share share(ClientConnection connection) {
    return new Share(connection);
  }

  /** The status of a call whose response has no room. */
  static StatusRuntimeException exhausted(int size) {
    return Errors.overloaded(
        "no room for a response of %d bytes: other responses were not read; read them, or try again later"
            .formatted(size),
        Duration.ofSeconds(1));
  }

  /** The responses that were sent over gRPC. */
  UnreadResponses unread() {
    return unread;
  }

  /** Bytes that are reserved now. */
  long reserved() {
    return memory.used();
  }
}
