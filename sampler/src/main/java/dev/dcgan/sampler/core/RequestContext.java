package dev.dcgan.sampler.core;

import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.server.ClientConnection;
import java.util.concurrent.Executor;

/**
 * Who sent a request, and until when a response is of use.
 *
 * @param connection for limits per connection and per client address
 * @param deadline on the clock of {@link System#nanoTime}; of no meaning without {@code
 *     hasDeadline}
 * @param sender the executor from which responses are sent
 */
public record RequestContext(
    ClientConnection connection, boolean hasDeadline, long deadline, Executor sender) {

  /** The time until the deadline, or {@link BatchScheduler#NO_DEADLINE}. */
  long nanosLeft() {
    return hasDeadline ? deadline - System.nanoTime() : BatchScheduler.NO_DEADLINE;
  }
}
