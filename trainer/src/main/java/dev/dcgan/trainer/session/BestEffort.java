package dev.dcgan.trainer.session;

import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Does what a full disk may prevent without ending the run: each kind of failure is told once,
 * until it works again, and counted each time. For the training thread.
 */
final class BestEffort {

  private static final Logger log = LoggerFactory.getLogger("train");

  /** Something that writes. */
  @FunctionalInterface
  interface Write {
    void run() throws IOException;
  }

  private final TrainerMetrics metrics;

  // Mutable state
  private final Set<String> failing = new HashSet<>();

  BestEffort(TrainerMetrics metrics) {
    this.metrics = metrics;
  }

  /** Whether it worked; {@code what} completes "cannot be written". */
  boolean attempt(String what, Write write) {
    try {
      write.run();
    } catch (IOException e) {
      metrics.writeFailed(what);
      if (failing.add(what)) {
        log.error("{} cannot be written ({}); training goes on without", what, ErrorMessages.oneLine(e));
      }
      return false;
    }
    if (failing.remove(what)) {
      log.info("{} can be written again", what);
    }
    return true;
  }
}
