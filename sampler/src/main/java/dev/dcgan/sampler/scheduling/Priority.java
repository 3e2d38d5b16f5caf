package dev.dcgan.sampler.scheduling;

/** A request's share of the images while others are queued. */
public enum Priority {
  LOW(1),
  NORMAL(4),
  HIGH(16);

  /** Images per turn: the quantum of deficit round-robin. */
  final int quantum;

  Priority(int quantum) {
    this.quantum = quantum;
  }
}
