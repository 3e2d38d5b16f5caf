package dev.dcgan.server;

import java.net.Inet6Address;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * A connection, for limits per connection and per client address.
 *
 * @param id equal for requests of one connection
 * @param address equal for connections of one client address: an IPv4 address, or the first 64 bits
 *     of an IPv6 address, because a host can choose the other 64. Clients behind a proxy share one
 */
public record ClientConnection(Object id, String address) {

  private static final int IPV6_PREFIX_BYTES = 8;

  /** A connection from a peer. */
  static ClientConnection of(Object id, @Nullable SocketAddress peer) {
    return new ClientConnection(id, address(peer));
  }

  static String address(@Nullable SocketAddress peer) {
    if (peer instanceof InetSocketAddress socket && socket.getAddress() != null) {
      byte[] bytes = socket.getAddress().getAddress();
      return socket.getAddress() instanceof Inet6Address
          ? HexFormat.of().formatHex(bytes, 0, IPV6_PREFIX_BYTES) + "::/64"
          : socket.getAddress().getHostAddress();
    }
    return String.valueOf(peer);
  }
}
