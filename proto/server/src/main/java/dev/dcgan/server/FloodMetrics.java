package dev.dcgan.server;

import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Counts the connections and calls that exceeded a limit, and logs some of them. Thread-safe. */
final class FloodMetrics {

  /** What was exceeded. */
  enum Limit {
    CONNECTIONS,
    ADDRESS_CONNECTIONS,
    FRAMES,
    REQUEST_MEMORY,
    REQUEST_TIME,
    RESPONSE_TIME;

    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private static final Logger log = LoggerFactory.getLogger(FloodMetrics.class);

  private final LimitedLog limited;
  private final Counter exceeded;

  FloodMetrics(PrometheusRegistry registry, LongSupplier nanoTime) {
    limited = new LimitedLog(nanoTime);
    exceeded =
        Counter.builder()
            .name("grpc_server_limit_exceeded_total")
            .help("Connections and calls that were ended because they exceeded a limit.")
            .labelNames("limit")
            .register(registry);
    for (Limit limit : Limit.values()) {
      exceeded.initLabelValues(limit.label());
    }
  }

  void exceeded(Limit limit, String address) {
    exceeded.labelValues(limit.label()).inc();
    OptionalLong unlogged = limited.next();
    if (unlogged.isPresent()) {
      log.warn(
          "a client exceeded a limit: limit={} address={} unlogged={}",
          limit.label(),
          address,
          unlogged.getAsLong());
    }
  }
}
