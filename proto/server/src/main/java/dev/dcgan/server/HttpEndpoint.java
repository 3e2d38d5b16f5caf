package dev.dcgan.server;

import com.sun.net.httpserver.HttpServer;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The HTTP endpoint of a program, which uses the JDK's HTTP server.
 *
 * <ul>
 *   <li>{@code /metrics}: the metrics of the given registry, the JVM and the process, for
 *       Prometheus
 *   <li>{@code /healthz}: 200 while the process is live; otherwise 503 and the reason
 *   <li>{@code /readyz}: 200 while the process is ready; otherwise 503 and the reason
 *   <li>the program's own pages
 * </ul>
 *
 * <p>Thread-safe. All resources are limited: at most 256 connections (more are closed immediately),
 * at most 32 concurrent requests for the program's own pages (more get 503), 10 s to receive a
 * request and 120 s to compute and send the response. There are as many threads as connections, so
 * that slow clients and slow pages do not block the paths above. System properties of the JDK's
 * server, such as {@code sun.net.httpserver.maxReqTime}, override the limits. The endpoint has
 * neither TLS nor authentication: run it in a trusted network or behind a proxy.
 */
public final class HttpEndpoint implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(HttpEndpoint.class);
  private static final int MAX_SLOW_REQUESTS = 32;
  private static final int MAX_CONNECTIONS = 256;

  static {
    // The JDK reads these properties once, when the first server is created.
    limit("sun.net.httpserver.maxReqTime", "10"); // seconds
    limit("sun.net.httpserver.maxRspTime", "120"); // seconds
    limit("jdk.httpserver.maxConnections", Integer.toString(MAX_CONNECTIONS));
    // Otherwise a small body waits 40 ms for the acknowledgement of its headers.
    limit("sun.net.httpserver.nodelay", "true");
  }

  private final HttpServer server;
  private final ExecutorService executor;
  private final HttpRouter router;

  // Mutable state
  private volatile Readiness readiness = () -> Optional.of("starting");
  private volatile Readiness liveness = Readiness.READY;

  private HttpEndpoint(
      HttpServer server, PrometheusRegistry registry, Map<String, HttpPage> pages) {
    this.server = server;
    router =
        new HttpRouter(
            Map.of(
                "/metrics",
                new MetricsPage(registry),
                "/healthz",
                call -> respond(call, liveness, "alive"),
                "/readyz",
                call -> respond(call, readiness, "ready")),
            pages,
            MAX_SLOW_REQUESTS,
            registry);
    executor =
        new ThreadPoolExecutor(
            0,
            MAX_CONNECTIONS,
            1,
            TimeUnit.MINUTES,
            new SynchronousQueue<>(),
            Threads.named("http"));
  }

  /** Starts an endpoint without pages of the program's own. */
  public static HttpEndpoint start(int port, PrometheusRegistry registry) throws IOException {
    return start(port, registry, Map.of());
  }

  /**
   * Starts an endpoint, which is live but not ready.
   *
   * @param port the TCP port, or 0 for any free port
   * @param pages the program's own pages by path
   * @throws IOException if the port cannot be bound
   */
  public static HttpEndpoint start(
      int port, PrometheusRegistry registry, Map<String, HttpPage> pages) throws IOException {
    JvmMetrics.builder().register(registry);
    HttpServer server;
    try {
      server = HttpServer.create(new InetSocketAddress(port), 0);
    } catch (IOException e) {
      throw new IOException(
          "cannot serve HTTP on port %d (%s); choose another with --http-port"
              .formatted(port, e.getMessage()),
          e);
    }
    HttpEndpoint endpoint = new HttpEndpoint(server, registry, pages);
    endpoint.serve();
    return endpoint;
  }

  public int port() {
    return server.getAddress().getPort();
  }

  /** Sets the source of {@code /readyz}. */
  public void setReadiness(Readiness readiness) {
    this.readiness = readiness;
  }

  /** Sets the source of {@code /healthz}, which says why the process should be restarted. */
  public void setLiveness(Readiness liveness) {
    this.liveness = liveness;
  }

  /** Shuts down when the requests in flight are complete, or after {@code grace}. */
  public void drain(Duration grace) throws InterruptedException {
    try {
      if (!router.awaitIdle(grace)) {
        log.warn("requests in flight after {} s were cancelled", grace.toSeconds());
      }
    } finally {
      close();
    }
  }

  /** Shuts down immediately. Requests in flight are cancelled. */
  @Override
  public void close() {
    server.stop(0);
    executor.shutdownNow();
  }

  private void serve() {
    server.createContext("/", router);
    server.setExecutor(executor);
    // The server's dispatcher thread inherits the daemon flag of the thread that starts it.
    Thread starter = Threads.named("http-start").newThread(server::start);
    starter.start();
    boolean interrupted = false;
    while (starter.isAlive()) {
      try {
        starter.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void respond(HttpCall call, Readiness answer, String yes) throws IOException {
    Optional<String> whyNot = answer.whyNot();
    call.text(whyNot.isEmpty() ? 200 : 503, whyNot.orElse(yes));
  }

  private static void limit(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }
}
