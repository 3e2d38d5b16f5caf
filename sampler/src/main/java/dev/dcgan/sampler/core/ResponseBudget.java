package dev.dcgan.sampler.core;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/**
 * The memory for answers, from the admission of a call until its caller has the answer or is gone,
 * shared among connections. Thread-safe.
 *
 * <p>A connection may have as much as it leaves free: one alone half of the room, each of n an
 * (n+1)th (Choudhury and Hahne 1998, <i>Dynamic queue length thresholds for shared-memory packet
 * switches</i>, with alpha 1). So callers that do not read are refused before others are, and the
 * room is never exceeded, however many they are.
 */
public final class ResponseBudget {

  // A caller that reads has its answers by then.
  private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

  private final long size;

  // Mutable state
  @GuardedBy("this") private final Map<Object, Long> taken = new HashMap<>();

  @GuardedBy("this") private long free;

  /** Room for so many bytes. */
  public ResponseBudget(long size) {
    this.size = size;
    this.free = size;
  }

  /**
   * Takes room for an answer, to be given back exactly once.
   *
   * @throws RequestException there is none for this connection now
   */
  public synchronized void take(Object connection, long bytes) {
    long its = taken.getOrDefault(connection, 0L);
    if (its + bytes > free - bytes) {
      throw RequestException.overloaded(
          "an answer of up to %d KiB has no room: those on their way to this connection take %d KiB, and %d KiB are free for all; read them first, or make fewer calls at once"
              .formatted(kib(bytes), kib(its), free >> 10),
          RETRY_AFTER);
    }
    taken.put(connection, its + bytes);
    free -= bytes;
  }

  public synchronized void giveBack(Object connection, long bytes) {
    taken.computeIfPresent(connection, (key, its) -> its == bytes ? null : its - bytes);
    free += bytes;
  }

  public long size() {
    return size;
  }

  public synchronized long taken() {
    return size - free;
  }

  private static long kib(long bytes) {
    return (bytes + 1023) >> 10;
  }
}
