package dev.dcgan.trainer.run;

import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes that may fail without ending the run, as on a full disk. A failure is logged once until
 * the write succeeds again, and reported each time. For one thread.
 */
public final class BestEffort {

  private static final Logger log = LoggerFactory.getLogger(BestEffort.class);

  /** A write. */
  @FunctionalInterface
  public interface Write {
    void run() throws IOException;
  }

  private final Consumer<String> onFailure;

  // Mutable state
  private final Set<String> failing = new HashSet<>();

  /**
   * Creates one with no failures yet.
   *
   * @param onFailure receives what could not be written, each time
   */
  public BestEffort(Consumer<String> onFailure) {
    this.onFailure = onFailure;
  }

  /**
   * Tries to write.
   *
   * @param what an identifier, {@code sample_grid}: the label in metrics
   * @return whether the write succeeded
   */
  public boolean attempt(String what, Write write) {
    try {
      write.run();
    } catch (IOException e) {
      onFailure.accept(what);
      if (failing.add(what)) {
        log.error(
            "cannot write the {}: {}; continuing without it",
            what.replace('_', ' '),
            ErrorMessages.oneLine(e));
      }
      return false;
    }
    if (failing.remove(what)) {
      log.info("the {} can be written again", what.replace('_', ' '));
    }
    return true;
  }
}
