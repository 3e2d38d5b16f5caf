package dev.dcgan.server;

import java.io.IOException;

/** Handles {@code GET} and {@code HEAD} requests for one path. Thread-safe. */
@FunctionalInterface
public interface HttpPage {

  /**
   * Answers one request. It runs on a thread of its own and may block.
   *
   * @throws IOException if the client disconnected
   */
  void serve(HttpCall call) throws IOException;

  /** The largest body of a {@code POST} request, bytes; 0: there are no such requests. */
  default int maxBody() {
    return 0;
  }
}
