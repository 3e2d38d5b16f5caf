package dev.dcgan.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import org.junit.jupiter.api.Test;

class MemorySharesTest {

  private static final long SIZE = 1600;

  private final MemoryShares shares = new MemoryShares(SIZE);

  @Test
  void oneAddress_neverHasMoreThanItsShare() {
    for (int i = 0; i < 1000; i++) {
      fill(new ClientConnection(i, "a"));
    }
    assertThat(shares.used()).isLessThanOrEqualTo(1200).isGreaterThan(1150);
    assertThat(fill(new ClientConnection("x", "b"))).as("another address").isGreaterThan(190);
  }

  @Test
  void eachConnection_mayHaveAsMuchAsItLeavesFree() {
    assertThat(fill(new ClientConnection(1, "a"))).isEqualTo(600);
    assertThat(fill(new ClientConnection(2, "a"))).isEqualTo(300);
    assertThat(fill(new ClientConnection(3, "a"))).isEqualTo(150);
  }

  @Test
  void whatIsReleased_canBeReservedAgain() {
    ClientConnection connection = new ClientConnection(1, "a");
    long filled = fill(connection);
    for (int i = 0; i < filled; i++) {
      shares.release(connection, 1);
    }
    assertThat(shares.used()).isZero();
    assertThat(fill(connection)).isEqualTo(filled);
  }

  @Test
  void hostsOfOneIpv6Network_areOneAddress() throws UnknownHostException {
    assertThat(address("2001:db8:1:2:3::4")).isEqualTo(address("2001:db8:1:2:ffff::1"));
    assertThat(address("2001:db8:1:2::4")).isNotEqualTo(address("2001:db8:1:3::4"));
    assertThat(address("10.0.0.1")).isEqualTo("10.0.0.1").isNotEqualTo(address("10.0.0.2"));
    assertThat(address("::ffff:10.0.0.1")).as("the same host").isEqualTo("10.0.0.1");
  }

  private static String address(String text) throws UnknownHostException {
    return ClientConnection.address(new InetSocketAddress(InetAddress.getAllByName(text)[0], 1));
  }

  private long fill(ClientConnection connection) {
    long filled = 0;
    while (shares.tryReserve(connection, 1)) {
      filled++;
    }
    return filled;
  }
}
