package dev.dcgan.server;

import io.prometheus.metrics.exporter.httpserver.HTTPServer;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;

/**
 * {@code GET /metrics} over HTTP for Prometheus: the given registry, the JVM's and the process's
 * own.
 */
public final class MetricsEndpoint implements AutoCloseable {

  private final HTTPServer server;

  private MetricsEndpoint(HTTPServer server) {
    this.server = server;
  }

  /**
   * Starts to serve.
   *
   * @param port 0 for any free one
   * @throws IOException the port cannot be bound
   */
  public static MetricsEndpoint start(int port, PrometheusRegistry registry) throws IOException {
    JvmMetrics.builder().register(registry);
    try {
      return new MetricsEndpoint(
          HTTPServer.builder().port(port).registry(registry).buildAndStart());
    } catch (IOException e) {
      throw new IOException(
          "cannot serve metrics on port %d (%s); choose another with --http-port"
              .formatted(port, e.getMessage()),
          e);
    }
  }

  public int port() {
    return server.getPort();
  }

  @Override
  public void close() {
    server.close();
  }
}
