package dev.dcgan.server;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Who may reach and call the servers of a program; see {@link AccessOptions}.
 *
 * @param address that the servers listen on; null: all of the machine's
 * @param probePort of /healthz, /readyz and /metrics alone; 0: any free port; null: none
 * @param tokens the file of tokens and subjects with their roles; null: no roles are enforced
 * @param reflection whether gRPC has reflection
 * @param maxCalls concurrent calls of a caller; 0: any number
 */
public record AccessConfig(
    @Nullable InetAddress address,
    @Nullable Integer probePort,
    @Nullable Path tokens,
    boolean reflection,
    int maxCalls) {

  /** All addresses, and everyone may do everything. */
  public static final AccessConfig OPEN = new AccessConfig(null, null, null, true, 0);

  /** The socket address of a port. */
  public InetSocketAddress at(int port) {
    return at(address, port);
  }

  /** The socket address of a port. Any wildcard stands for all addresses, IPv4 and IPv6. */
  public static InetSocketAddress at(@Nullable InetAddress address, int port) {
    return address == null || address.isAnyLocalAddress()
        ? new InetSocketAddress(port)
        : new InetSocketAddress(address, port);
  }
}
