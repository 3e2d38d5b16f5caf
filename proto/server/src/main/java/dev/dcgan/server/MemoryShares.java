package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.util.HashMap;
import java.util.Map;

/**
 * A memory budget that clients share. Thread-safe.
 *
 * <p>All connections of one client address may use {@link #ADDRESS_SHARE} of the budget together;
 * the rest is reserved for other addresses. A connection may use as much as it leaves free of that:
 * each of n connections 1/(n+1) (Choudhury and Hahne 1998, <i>Dynamic queue length thresholds for
 * shared-memory packet switches</i>, with alpha 1). The budget is never exceeded.
 */
public final class MemoryShares {

  /** The share of the budget that one client address may use. */
  static final double ADDRESS_SHARE = 0.75;

  private final long size;
  private final long sizeOfAddress;

  // Mutable state
  @GuardedBy("this") private final Map<ClientConnection, Long> byConnection = new HashMap<>();

  @GuardedBy("this") private final Map<String, Long> byAddress = new HashMap<>();

  @GuardedBy("this") private long free;

  /**
   * Creates an unused budget.
   *
   * @param size bytes
   */
  public MemoryShares(long size) {
    this.size = size;
    this.sizeOfAddress = (long) (size * ADDRESS_SHARE);
    this.free = size;
  }

  /** Reserves memory for a connection. Returns false if its share does not allow that now. */
  public synchronized boolean tryReserve(ClientConnection connection, long bytes) {
    if (used(connection) + bytes > available(connection) - bytes) {
      return false;
    }
    byConnection.merge(connection, bytes, Long::sum);
    byAddress.merge(connection.address(), bytes, Long::sum);
    free -= bytes;
    return true;
  }

  /** Returns memory that {@link #tryReserve} reserved. */
  public synchronized void release(ClientConnection connection, long bytes) {
    byConnection.computeIfPresent(connection, (key, used) -> used == bytes ? null : used - bytes);
    byAddress.computeIfPresent(
        connection.address(), (key, used) -> used == bytes ? null : used - bytes);
    free += bytes;
  }

  /** Bytes that a connection has reserved. */
  public synchronized long used(ClientConnection connection) {
    return byConnection.getOrDefault(connection, 0L);
  }

  /** Bytes that are free for all connections of the address of a connection. */
  public synchronized long available(ClientConnection connection) {
    return Math.min(free, sizeOfAddress - byAddress.getOrDefault(connection.address(), 0L));
  }

  public long size() {
    return size;
  }

  /** Bytes that are reserved now. */
  public synchronized long used() {
    return size - free;
  }
}
