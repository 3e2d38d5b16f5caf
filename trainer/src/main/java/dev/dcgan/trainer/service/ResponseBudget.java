package dev.dcgan.trainer.service;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.Errors;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/**
 * Limits the bytes of responses that clients have not read: {@value #MAX_BYTES} in total, and a
 * quarter of that for one connection. Thread-safe.
 */
final class ResponseBudget {

  static final int MAX_BYTES = 64 << 20;

  private static final int MAX_CONNECTION_BYTES = MAX_BYTES / 4;

  // Mutable state
  @GuardedBy("this") private final Map<Object, Integer> used = new HashMap<>();

  @GuardedBy("this") private int total;

  /** What one call uses of the budget. */
  final class Share {

    private final Object connection;

    // Mutable state, guarded by the budget
    private int bytes;
    private boolean released;

    private Share(Object connection) {
      this.connection = connection;
    }

    /** Acquires room for a response; false if there is none. To be called at most once. */
    boolean acquire(int size) {
      synchronized (ResponseBudget.this) {
        int ofConnection = used.getOrDefault(connection, 0);
        if (!released) {
          if (total + size > MAX_BYTES || ofConnection + size > MAX_CONNECTION_BYTES) {
            return false;
          }
          bytes = size;
          total += size;
          used.put(connection, ofConnection + size);
        }
        return true;
      }
    }

    /** The client has read the response, or has cancelled the call; idempotent. */
    void release() {
      synchronized (ResponseBudget.this) {
        released = true;
        total -= bytes;
        int size = bytes;
        bytes = 0;
        used.computeIfPresent(connection, (key, all) -> all == size ? null : all - size);
      }
    }
  }

  /** The share of a call, which has acquired nothing yet. */
  Share share(Object connection) {
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
