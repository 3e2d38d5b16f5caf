package dev.dcgan.server;

import com.sun.net.httpserver.HttpExchange;
import io.prometheus.metrics.exporter.common.PrometheusScrapeHandler;
import io.prometheus.metrics.exporter.httpserver.HttpExchangeAdapter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;

/** A registry's metrics, by Prometheus's library; what goes wrong is the caller's to tell. */
final class MetricsPage implements HttpPage {

  /** The library would log a stack for whoever hangs up, and end the exchange before a 500. */
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
