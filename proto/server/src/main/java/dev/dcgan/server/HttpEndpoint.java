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
 * What a program offers over HTTP, by the JDK's own server.
 *
 * <ul>
 *   <li>{@code /metrics} for Prometheus: the given registry, the JVM's and the process's own
 *   <li>{@code /healthz}: 200 while the process works; else 503 and why not
 *   <li>{@code /readyz}: 200 when it is ready; else 503 and why not
 *   <li>the program's own pages
 * </ul>
 *
 * <p>Thread-safe. Bounded in all it holds: connections (256; more are closed at once), requests of
 * the program's own pages that are under way (32; more get 503), and the time that a request may
 * take to arrive (10 s) and its answer to be made and taken (120 s). There are as many threads as
 * connections, so that those who send or read slowly, or wait for pages, keep nobody from the paths
 * above. The system properties of the JDK's server, {@code sun.net.httpserver.maxReqTime} and
 * others, set other limits. It stands in a trusted network, or behind a proxy: it knows neither TLS
 * nor users.
 */
public final class HttpEndpoint implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(HttpEndpoint.class);
  private static final int SLOW_REQUESTS = 32;
  private static final int CONNECTIONS = 256;

  static {
    // The JDK reads them once, when it makes its first server.
    limit("sun.net.httpserver.maxReqTime", "10"); // seconds
    limit("sun.net.httpserver.maxRspTime", "120"); // seconds
    limit("jdk.httpserver.maxConnections", Integer.toString(CONNECTIONS));
    // Else a small body waits for the acknowledgement of its headers, 40 ms.
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
                call -> tell(call, liveness, "alive"),
                "/readyz",
                call -> tell(call, readiness, "ready")),
            pages,
            SLOW_REQUESTS,
            registry);
    executor =
        new ThreadPoolExecutor(
            0, CONNECTIONS, 1, TimeUnit.MINUTES, new SynchronousQueue<>(), Threads.named("http"));
  }

  /** Starts to serve, without pages of the program's own. */
  public static HttpEndpoint start(int port, PrometheusRegistry registry) throws IOException {
    return start(port, registry, Map.of());
  }

  /**
   * Starts to serve, alive but not ready.
   *
   * @param port 0 for any free one
   * @param pages by path
   * @throws IOException the port cannot be bound
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

  /** Sets what {@code /readyz} tells from now on. */
  public void setReadiness(Readiness readiness) {
    this.readiness = readiness;
  }

  /** Sets what {@code /healthz} tells from now on: why the process should be started anew. */
  public void setLiveness(Readiness liveness) {
    this.liveness = liveness;
  }

  /** Ends once the requests under way are answered, or after {@code grace}. */
  public void drain(Duration grace) throws InterruptedException {
    try {
      if (!router.awaitIdle(grace)) {
        log.warn("requests still under way after {} s were cut off", grace.toSeconds());
      }
    } finally {
      close();
    }
  }

  /** Ends at once; requests under way are cut off. */
  @Override
  public void close() {
    server.stop(0);
    executor.shutdownNow();
  }

  private void serve() {
    server.createContext("/", router);
    server.setExecutor(executor);
    // The server's own thread is a daemon only where a daemon starts it.
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

  private static void tell(HttpCall call, Readiness answer, String yes) throws IOException {
    Optional<String> whyNot = answer.whyNot();
    call.text(whyNot.isEmpty() ? 200 : 503, whyNot.orElse(yes));
  }

  private static void limit(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }
}
