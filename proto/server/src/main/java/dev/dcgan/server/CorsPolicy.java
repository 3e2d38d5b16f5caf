package dev.dcgan.server;

import java.util.List;
import java.util.Set;

/**
 * Lets scripts of other web sites read responses, without credentials (CORS, Fetch standard).
 *
 * @param origins such as {@code https://example.org}, or {@code *} for all
 */
record CorsPolicy(Set<String> origins) {

  private static final String ALL = "*";
  private static final String MAX_AGE_SECONDS = "86400";

  CorsPolicy {
    origins = Set.copyOf(origins);
  }

  /** Adds the response headers for the origin of a request, also for a preflight request. */
  void apply(HttpCall call) {
    List<String> origin = call.headers("Origin");
    if (!origins.contains(ALL)) {
      call.header("Vary", "Origin"); // Also of a response that a cache gives to another origin.
      if (origin.size() != 1 || !origins.contains(origin.get(0))) {
        return;
      }
    }
    call.header("Access-Control-Allow-Origin", origins.contains(ALL) ? ALL : origin.get(0));
    call.header("Access-Control-Expose-Headers", ALL);
    if (call.method().equals("OPTIONS")) {
      call.header("Access-Control-Allow-Methods", "GET, HEAD");
      call.header("Access-Control-Allow-Headers", ALL);
      call.header("Access-Control-Max-Age", MAX_AGE_SECONDS);
    }
  }
}
