package dev.dcgan.server;

/** Whether a {@link GrpcServer} says that calls should be sent to it. Thread-safe. */
public final class Readiness {

  // Mutable state
  private volatile boolean ready;

  public boolean isReady() {
    return ready;
  }

  void set(boolean ready) {
    this.ready = ready;
  }
}
