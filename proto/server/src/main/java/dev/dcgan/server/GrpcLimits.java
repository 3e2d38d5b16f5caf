package dev.dcgan.server;

import java.time.Duration;

/**
 * The limits that a {@link GrpcServer} sets its clients; see {@link GrpcLimitsOptions}.
 *
 * @param permitKeepalive the shortest interval of keepalive pings, with or without calls. A client
 *     that pings sooner more than twice is disconnected (ENHANCE_YOUR_CALM, "too_many_pings")
 * @param maxMetadataBytes the maximum size of a request's metadata (headers)
 */
public record GrpcLimits(Duration permitKeepalive, int maxMetadataBytes) {

  // Half of one second: clients that ping every second do so with jitter.
  public static final GrpcLimits DEFAULT = new GrpcLimits(Duration.ofMillis(500), 8 << 10);
}
