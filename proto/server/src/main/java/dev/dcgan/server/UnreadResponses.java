package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Responses that were sent and that clients have not read. A client has {@link ReadTime} for that;
 * then its call is cancelled. Thread-safe.
 */
public final class UnreadResponses {

  private final LongSupplier nanoTime;
  private final Set<Response> unread = ConcurrentHashMap.newKeySet();

  /**
   * No responses.
   *
   * @param nanoTime {@link System#nanoTime}
   */
  public UnreadResponses(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
  }

  /** The response of a call, or what was sent of it last. */
  public final class Response {

    // Mutable state
    @GuardedBy("this") private long deadline;

    @GuardedBy("this") private @Nullable Runnable cancel;

    private Response() {}

    /**
     * From now on the client has {@link ReadTime} to read what was sent.
     *
     * @param bytes that were sent
     * @param cancel runs once if it does not, and ends the call
     */
    public synchronized void sent(long bytes, Runnable cancel) {
      deadline = nanoTime.getAsLong() + ReadTime.DEFAULT.of(bytes).toNanos();
      this.cancel = cancel;
      unread.add(this);
    }

    /** The client has read what was sent, or is gone; more may follow. */
    public synchronized void read() {
      cancel = null;
      unread.remove(this);
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
  }

  /** The response of another call, of which nothing was sent. */
  public Response response() {
    return new Response();
  }

  /** Cancels the calls whose clients have not read in time. To be called every second. */
  public void cancelStalled() {
    long now = nanoTime.getAsLong();
    List<Runnable> actions = new ArrayList<>();
    for (Response each : unread) {
      Runnable action = each.takeStalled(now);
      if (action != null) {
        actions.add(action);
      }
    }
    actions.forEach(Runnable::run);
  }

  /** Gives clients more time to read what was sent. */
  public void extend(Duration time) {
    unread.forEach(each -> each.extend(time.toNanos()));
  }
}
