package dev.dcgan.sampler.scheduling;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A caller's request as {@link FairQueue} sees it. Its images come in one task or, for a stream, in
 * one task after the other.
 */
public final class QueuedRequest extends Turns.Flow {

  final Object caller;
  final Priority priority;
  final boolean hasDeadline;
  final long deadline;
  final long number;

  // Mutable state, guarded by the lock of the scheduler
  final Deque<ImageTask> tasks = new ArrayDeque<>(2);

  /** Room in the queue that is reserved for images that are submitted next. */
  int reserved;

  /** Images in the queue. */
  int queued;

  /** Admitted images that no batch has taken: those queued and, for a stream, those to come. */
  long remaining;

  /** Images of the batch that is being formed. */
  int granted;

  /**
   * A request that has queued nothing yet.
   *
   * @param caller equal for requests of one caller
   * @param deadline on the scheduler's clock; without {@code hasDeadline} it is ignored
   * @param number ascending; orders requests that have the same deadline
   * @param images of the whole request
   */
  QueuedRequest(
      Object caller,
      Priority priority,
      boolean hasDeadline,
      long deadline,
      long number,
      long images) {
    this.caller = caller;
    this.priority = priority;
    this.hasDeadline = hasDeadline;
    this.deadline = deadline;
    this.number = number;
    this.remaining = images;
  }
}
