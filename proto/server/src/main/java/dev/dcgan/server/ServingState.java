package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;

/**
 * The serving state of a {@link GrpcServer}, which other endpoints report too. Thread-safe. A
 * draining or broken server is never ready again.
 */
public final class ServingState {

  // Mutable state
  @GuardedBy("this") private boolean ready;

  @GuardedBy("this") private boolean draining;

  @GuardedBy("this") private boolean broken;

  /** Whether load balancers should send calls to this server. */
  public synchronized boolean isReady() {
    return ready && !draining && !broken;
  }

  public synchronized boolean isDraining() {
    return draining;
  }

  synchronized void setReady(boolean ready) {
    this.ready = ready;
  }

  /** Whether this process cannot recover and should be restarted. */
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
