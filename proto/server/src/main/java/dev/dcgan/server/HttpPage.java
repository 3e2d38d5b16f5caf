package dev.dcgan.server;

import java.io.IOException;

/** What answers {@code GET} and {@code HEAD} at one path. Thread-safe. */
@FunctionalInterface
public interface HttpPage {

  /**
   * Answers one request, on a thread of its own; it may wait.
   *
   * @throws IOException the caller went away
   */
  void serve(HttpCall call) throws IOException;
}
