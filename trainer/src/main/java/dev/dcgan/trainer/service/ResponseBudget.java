package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.ClientConnection;
import dev.dcgan.server.Errors;
import dev.dcgan.server.MemoryShares;
import io.grpc.StatusRuntimeException;
import java.time.Duration;

/** Limits the bytes of responses that clients have not read: {@link MemoryShares}. Thread-safe. */
final class ResponseBudget {

  static final int MAX_BYTES = 64 << 20;

  private final MemoryShares memory = new MemoryShares(MAX_BYTES);

  /** What one call uses of the budget. */
  final class Share {

    private final ClientConnection connection;

    // Mutable state
    @GuardedBy("this") private int bytes;

    @GuardedBy("this") private boolean released;

    private Share(ClientConnection connection) {
      this.connection = connection;
    }

    /** Acquires room for a response; false if there is none. To be called at most once. */
    synchronized boolean acquire(int size) {
      if (!released) {
        if (!memory.tryReserve(connection, size)) {
          return false;
        }
        bytes = size;
      }
      return true;
    }

    /** The client has read the response, or has cancelled the call; idempotent. */
    synchronized void release() {
      released = true;
      if (bytes > 0) {
        memory.release(connection, bytes);
        bytes = 0;
      }
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
}
