package dev.dcgan.server;

import com.sun.net.httpserver.HttpExchange;
import io.prometheus.metrics.exporter.common.PrometheusScrapeHandler;
import io.prometheus.metrics.exporter.httpserver.HttpExchangeAdapter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;

/** Serves a registry's metrics with Prometheus's library. Exceptions are left to the router. */
final class MetricsPage implements HttpPage {

  /** The library would log a stack trace if a client disconnects, and prevent a 500 response. */
  private static final class Exchange extends HttpExchangeAdapter {

    Exchange(HttpExchange exchange) {
      super(exchange);
    }

    @Override
    public void handleException(IOException e) throws IOException {
      throw e;
    }

    @Override
    public void handleException(RuntimeException e) {
      throw e;
    }

    @Override
    public void close() {}
  }

  private final PrometheusScrapeHandler handler;

  MetricsPage(PrometheusRegistry registry) {
    handler = new PrometheusScrapeHandler(registry);
  }

  @Override
  public void serve(HttpCall call) throws IOException {
    handler.handleRequest(new Exchange(call.exchange()));
  }
}
