package dev.dcgan.sampler.scheduling;

/** How large a request's share is while others wait. */
public enum Priority {
  LOW(1),
  NORMAL(4),
  HIGH(16);

  /** Images a turn. */
  final int quantum;

  Priority(int quantum) {
    this.quantum = quantum;
  }
}
