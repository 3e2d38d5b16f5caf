package dev.dcgan.sampler.scheduling;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A caller's request as the queue sees it: what shares are dealt to. Its images come in one job or,
 * of a stream, in one after the other.
 */
public final class QueuedRequest {

  final Priority priority;
  final boolean hasDeadline;
  final long deadline;
  final long number;

  // Mutable state, guarded by the lock of the batcher
  final Deque<ImageTask> jobs = new ArrayDeque<>(2);
  int waiting;

  /**
   * Images that were admitted and are not taken yet: those that wait and, of a stream, the rest.
   */
  long remaining;

  /** Room in the queue for images that are submitted next. */
  int reserved;

  int deficit;
  int granted;
  boolean served;

  /**
   * A request as it arrives.
   *
   * @param deadline on the batcher's clock; of no meaning without {@code hasDeadline}
   * @param number ascending: tells requests with one deadline apart
   * @param images of the whole request
   */
  QueuedRequest(Priority priority, boolean hasDeadline, long deadline, long number, long images) {
    this.priority = priority;
    this.hasDeadline = hasDeadline;
    this.deadline = deadline;
    this.number = number;
    this.remaining = images;
  }
}
