package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;

/**
 * What a {@link GrpcServer} tells load balancers, for whoever tells it in another way. Thread-safe;
 * once draining it is never ready again.
 */
public final class ServingState {

  // Mutable state
  @GuardedBy("this") private boolean ready;

  @GuardedBy("this") private boolean draining;

  /** Whether calls should be sent here. */
  public synchronized boolean isReady() {
    return ready && !draining;
  }

  public synchronized boolean isDraining() {
    return draining;
  }

  synchronized void setReady(boolean ready) {
    this.ready = ready;
  }

  synchronized void drain() {
    draining = true;
  }
}
