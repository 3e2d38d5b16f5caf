package dev.dcgan.sampler.model;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The version that new requests get.
 *
 * <p>Thread-safe. Whoever acquires a version keeps that one until releasing it, however often the
 * active one changes meanwhile. Once closed it stays closed.
 */
public final class ActiveModel {

  // Mutable state
  @GuardedBy("this") private @Nullable LoadedModel current;

  @GuardedBy("this") private boolean closed;

  /** The version to serve with, to be released exactly once; null while there is none. */
  public synchronized @Nullable LoadedModel acquire() {
    return current != null && current.retain() ? current : null;
  }

  /**
   * Offers a newer version, whose first use passes to this object; the one before closes after its
   * last user. False, and the version is released, where this is closed.
   */
  public synchronized boolean swap(LoadedModel next) {
    if (closed) {
      next.release();
      return false;
    }
    if (current != null) {
      current.release();
    }
    current = next;
    return true;
  }

  /** Ends the offer, and waits until the version is closed; false if that took too long. */
  public boolean close(Duration limit) throws InterruptedException {
    LoadedModel last;
    synchronized (this) {
      closed = true;
      last = current;
      current = null;
    }
    if (last == null) {
      return true;
    }
    last.release();
    return last.awaitClosed(limit);
  }
}
