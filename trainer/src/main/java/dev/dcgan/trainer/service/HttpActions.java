package dev.dcgan.trainer.service;

import dev.dcgan.server.HttpCall;
import java.net.InetAddress;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * Whether there are actions over HTTP, for callers whose role allows them: start, stop, resume and
 * publish runs, and download checkpoints.
 *
 * <p>Pages of other web sites must not act with the browser of someone who may: a request names the
 * page's own origin, and a content type that a browser does not send to another origin without
 * asking. A web site whose name is made to lead to this machine (DNS rebinding) is known by its
 * host.
 *
 * @param enabled whether there are actions
 * @param hosts the valid names of this service; empty: any
 */
record HttpActions(boolean enabled, Set<String> hosts) {

  static final HttpActions NONE = new HttpActions(false, Set.of());

  private static final String JSON = "application/json";

  /**
   * The actions of a service.
   *
   * @param address that HTTP listens on
   * @param allowed whether there are actions for callers of other machines too
   */
  static HttpActions of(InetAddress address, boolean allowed) {
    if (allowed) {
      return new HttpActions(true, Set.of());
    }
    if (!address.isLoopbackAddress()) {
      return NONE;
    }
    Set<String> hosts = new TreeSet<>(Set.of("localhost", "127.0.0.1", "[::1]"));
    hosts.add(literal(address)); // It may be 127.0.0.2.
    return new HttpActions(true, hosts);
  }

  /** Why a request is not for this service; empty: it may be read. */
  Optional<String> whyNotRead(HttpCall call) {
    String host = only(call.headers("Host"));
    return hosts.isEmpty() || hosts.contains(name(host))
        ? Optional.empty()
        : Optional.of("host '%s': expected one of %s".formatted(host, String.join(", ", hosts)));
  }

  /** Why a download is refused; empty: it is not. */
  Optional<String> whyNotDownload(HttpCall call) {
    if (!enabled) {
      return Optional.of(
          "this service has no actions over HTTP; start it with --http-address localhost, or with"
              + " --http-actions");
    }
    return whyNotRead(call);
  }

  /** Why an action is refused; empty: it is not. */
  Optional<String> whyNotAct(HttpCall call) {
    Optional<String> refused = whyNotDownload(call);
    if (refused.isPresent()) {
      return refused;
    }
    String type = only(call.headers("Content-Type")).split(";", 2)[0].strip();
    if (!type.equalsIgnoreCase(JSON)) {
      return Optional.of("content type '%s': expected %s".formatted(type, JSON));
    }
    // Only browsers name an origin, and always do.
    List<String> origin = call.headers("Origin");
    String host = only(call.headers("Host"));
    boolean own =
        origin.isEmpty()
            || origin.equals(List.of("http://" + host))
            || origin.equals(List.of("https://" + host)); // Behind a proxy.
    return own
        ? Optional.empty()
        : Optional.of("origin %s: expected that of this page, %s".formatted(origin, host));
  }

  private static String only(List<String> values) {
    return values.size() == 1 ? values.get(0) : "";
  }

  /** A host without its port. */
  private static String name(String host) {
    return host.replaceFirst(":[0-9]*$", "").toLowerCase(Locale.ROOT);
  }

  private static String literal(InetAddress address) {
    String text = address.getHostAddress().replaceFirst("%.*", "");
    return text.indexOf(':') < 0 ? text : "[" + text + "]";
  }
}
