package dev.dcgan.trainer.service;

import dev.dcgan.server.CallConnection;
import java.net.InetSocketAddress;

/** Who makes the current call, for quotas. */
final class Caller {

  private Caller() {}

  /** The address of the gRPC client; empty for HTTP, and outside of calls. */
  static String current() {
    return CallConnection.current() instanceof InetSocketAddress peer && peer.getAddress() != null
        ? peer.getAddress().getHostAddress()
        : "";
  }
}
