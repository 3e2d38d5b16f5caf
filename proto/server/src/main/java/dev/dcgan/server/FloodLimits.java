package dev.dcgan.server;

import java.time.Duration;

/**
 * The limits of a {@link GrpcServer} against clients that flood it. They are far beyond what other
 * clients do, and not configurable.
 *
 * @param connections open at once
 * @param connectionsOfAddress open at once of one client address
 * @param resets of streams, by the client or because of its errors, in one {@code window} of a
 *     connection; gRPC counts them
 * @param frames without content (PING, SETTINGS, PRIORITY, unknown ones, empty DATA, small
 *     WINDOW_UPDATE) in one {@code window} of a connection
 * @param requestBytes memory for calls and requests that have not been received completely
 * @param requestTime the time to send a request completely
 */
record FloodLimits(
    int connections,
    int connectionsOfAddress,
    int resets,
    int frames,
    Duration window,
    long requestBytes,
    Duration requestTime) {

  /** Of a busy connection that many clients share, most calls may miss their deadlines. */
  static final FloodLimits DEFAULT =
      new FloodLimits(
          2048,
          1024,
          10 * GrpcServer.MAX_CALLS_PER_CONNECTION,
          10_000,
          Duration.ofSeconds(30),
          Math.min(64 << 20, Runtime.getRuntime().maxMemory() / 8),
          Duration.ofMinutes(1));
}
