package dev.dcgan.server.access;

import java.util.Collection;
import java.util.Set;

/**
 * Who makes a call.
 *
 * @param name of the token or the certificate; otherwise the address, without the port
 * @param roles what the caller may do
 * @param authenticated whether a credential was verified
 */
public record Caller(String name, Set<Role> roles, boolean authenticated) {

  public Caller {
    roles = Set.copyOf(roles);
  }

  /** A caller of whom only the address is known, where everyone may do everything. */
  public static Caller anonymous(String address) {
    return new Caller(address, Set.of(Role.ADMIN), false);
  }

  /** Whether the caller has one of these roles, or may do everything. */
  public boolean hasAny(Collection<Role> needed) {
    return roles.contains(Role.ADMIN) || needed.stream().anyMatch(roles::contains);
  }
}
