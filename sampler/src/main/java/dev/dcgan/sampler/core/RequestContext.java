package dev.dcgan.sampler.core;

import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.server.ClientConnection;
import io.opentelemetry.context.Context;
import java.util.concurrent.Executor;

/**
 * Who sent a request, and until when a response is of use.
 *
 * @param connection for limits per connection and per client address
 * @param caller equal for requests of one caller, on any connection
 * @param deadline on the clock of {@link System#nanoTime}; of no meaning without {@code
 *     hasDeadline}
 * @param sender the executor from which responses are sent
 * @param trace the trace that the spans of the request belong to; the root: none
 */
public record RequestContext(
    ClientConnection connection,
    Object caller,
    boolean hasDeadline,
    long deadline,
    Executor sender,
    Context trace) {

  /** The time until the deadline, or {@link BatchScheduler#NO_DEADLINE}. */
  long nanosLeft() {
    return hasDeadline ? deadline - System.nanoTime() : BatchScheduler.NO_DEADLINE;
  }
}
