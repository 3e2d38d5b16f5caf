package dev.dcgan.server;

import io.prometheus.metrics.exporter.common.PrometheusHttpExchange;
import io.prometheus.metrics.exporter.common.PrometheusHttpRequest;
import io.prometheus.metrics.exporter.common.PrometheusHttpResponse;
import io.prometheus.metrics.exporter.common.PrometheusScrapeHandler;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Collections;
import java.util.Enumeration;

/** Serves a registry's metrics with Prometheus's library. Exceptions are left to the router. */
final class MetricsPage implements HttpPage {

  /** One scrape, whose response is sent when it is complete. */
  private static final class Exchange
      implements PrometheusHttpExchange, PrometheusHttpRequest, PrometheusHttpResponse {

    private final HttpCall call;
    private final ByteArrayOutputStream body = new ByteArrayOutputStream();
    private int code = 500;

    Exchange(HttpCall call) {
      this.call = call;
    }

    @Override
    public PrometheusHttpRequest getRequest() {
      return this;
    }

    @Override
    public PrometheusHttpResponse getResponse() {
      return this;
    }

    @Override
    public String getQueryString() {
      return call.query();
    }

    @Override
    public Enumeration<String> getHeaders(String name) {
      return Collections.enumeration(call.headers(name));
    }

    @Override
    public String getMethod() {
      return call.method();
    }

    @Override
    public String getRequestPath() {
      return call.path();
    }

    @Override
    public void setHeader(String name, String value) {
      call.header(name, value);
    }

    @Override
    public OutputStream sendHeadersAndGetBody(int statusCode, int contentLength) {
      code = statusCode;
      return body;
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
    Exchange exchange = new Exchange(call);
    handler.handleRequest(exchange);
    call.send(exchange.code, exchange.body.size(), exchange.body::writeTo);
  }
}
