package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;

/**
 * What a {@link GrpcServer} tells load balancers, for whoever tells it in another way. Thread-safe;
 * once draining or broken it is never ready again.
 */
public final class ServingState {

  // Mutable state
  @GuardedBy("this") private boolean ready;

  @GuardedBy("this") private boolean draining;

  @GuardedBy("this") private boolean broken;

  /** Whether calls should be sent here. */
  public synchronized boolean isReady() {
    return ready && !draining && !broken;
  }

  public synchronized boolean isDraining() {
    return draining;
  }

  synchronized void setReady(boolean ready) {
    this.ready = ready;
  }

  /** Whether this process can never serve again, and should be started anew. */
  public synchronized boolean isBroken() {
    return broken;
  }

  synchronized void breakDown() {
    broken = true;
  }

  synchronized void drain() {
    draining = true;
  }
}
