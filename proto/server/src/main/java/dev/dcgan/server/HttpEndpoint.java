package dev.dcgan.server;

import io.netty.handler.ssl.SslContext;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The HTTP endpoint of a program.
 *
 * <ul>
 *   <li>{@code /metrics}: the metrics of the given registry, the JVM and the process, for
 *       Prometheus
 *   <li>{@code /healthz}: 200 while the process is live; otherwise 503 and the reason
 *   <li>{@code /readyz}: 200 while the process is ready; otherwise 503 and the reason
 *   <li>the program's own pages, and its {@link StaticAsset}s
 * </ul>
 *
 * <p>Thread-safe. All resources are limited, and those of the three paths above and of assets are
 * reserved: neither slow pages nor slow clients block them. See {@link Limits}. With tokens, or TLS
 * and a client CA, {@link AccessControl} admits requests; /healthz and /readyz are open.
 *
 * <p>Clients that connect and hang up as fast as they can fill the kernel's queue of connections
 * that wait to be accepted, and then the kernel drops those of everyone: a client tries again after
 * 1 s, 3 s and so on. So {@link AccessConfig#probePort} serves the first three paths on a port, and
 * with threads, of their own as well.
 */
public final class HttpEndpoint implements AutoCloseable {

  /**
   * The limits of an endpoint. Clients of one address may use half of each; those behind a proxy
   * have one address.
   *
   * @param connections open at once; a further one replaces the one that has waited longest for a
   *     request
   * @param pages concurrent requests for the program's own pages
   * @param waiting further ones, which wait in order of arrival; more get 503. Together with {@code
   *     pages} fewer than {@code connections}: the rest is reserved for the paths above
   * @param maxWait the time that they wait; then they get 503
   * @param firstRequest the time to receive the first request of a connection
   * @param idle the time to receive another request
   * @param streams concurrent responses of events, which need no page while they are open. With
   *     {@code pages} and {@code waiting} fewer than {@code connections}
   * @param stalled the time that a client of such a response may read nothing
   * @param readTime the time to read another response
   */
  record Limits(
      int connections,
      int pages,
      int waiting,
      Duration maxWait,
      Duration firstRequest,
      Duration idle,
      int streams,
      Duration stalled,
      ReadTime readTime) {

    static final Limits DEFAULT =
        new Limits(
            1280,
            64,
            480,
            Duration.ofSeconds(60),
            Duration.ofSeconds(10),
            Duration.ofSeconds(75),
            512,
            Duration.ofSeconds(30),
            ReadTime.DEFAULT);

    /** Of the port for probes and metrics alone. */
    private static final Limits PROBES =
        new Limits(
            256,
            0,
            0,
            DEFAULT.maxWait,
            DEFAULT.firstRequest,
            DEFAULT.idle,
            0,
            DEFAULT.stalled,
            DEFAULT.readTime);
  }

  private static final Logger log = LoggerFactory.getLogger(HttpEndpoint.class);
  private static final int MAX_QUICK_REQUESTS = 256;

  private final HttpListener main;
  private final @Nullable HttpListener probes;
  private final @Nullable ReloadingTls tls;

  // Mutable state
  private volatile Readiness readiness = () -> Optional.of("starting");
  private volatile Readiness liveness = Readiness.READY;

  private HttpEndpoint(
      InetSocketAddress address,
      PrometheusRegistry registry,
      Map<String, HttpPage> pages,
      Set<String> corsOrigins,
      Limits limits,
      @Nullable ServerTls files,
      AccessControl access)
      throws IOException {
    Counter requests = HttpRouter.counter(registry);
    CorsPolicy cors = corsOrigins.isEmpty() ? null : new CorsPolicy(corsOrigins);
    RequestQueue slow = new RequestQueue("http", limits.pages, limits.waiting);
    // A page loads and can show the error even if all slots for pages are in use.
    RequestQueue assets = new RequestQueue("http-assets", 2, MAX_QUICK_REQUESTS);
    Map<String, HttpRouter.Route> routes = quick("http", registry);
    pages.forEach(
        (path, page) ->
            routes.put(
                path,
                page instanceof StaticAsset
                    ? new HttpRouter.Route(page, assets, null)
                    : new HttpRouter.Route(page, slow, cors)));
    tls = files == null ? null : new ReloadingTls(files, ReloadingTls.Protocol.HTTP);
    SslContext encryption = tls == null ? null : tls.context();
    Integer probePort = access.config().probePort();
    HttpListener listener = null;
    try {
      listener =
          new HttpListener(
              address,
              "--http-port",
              "http-io",
              new HttpRouter(routes, limits.maxWait, access, requests),
              limits,
              encryption);
      probes =
          probePort == null
              ? null
              : new HttpListener(
                  new InetSocketAddress(address.getAddress(), probePort),
                  "--probe-port",
                  "probe-io",
                  new HttpRouter(quick("probe", registry), limits.maxWait, access, requests),
                  Limits.PROBES,
                  encryption);
    } catch (IOException e) {
      if (listener != null) {
        listener.close();
      }
      if (tls != null) {
        tls.close();
      }
      throw e;
    }
    main = listener;
    if (probes != null) {
      log.info("probes and metrics alone on port {}", probes.port());
    }
  }

  /** What every port serves, with threads of its own. */
  private Map<String, HttpRouter.Route> quick(String name, PrometheusRegistry registry) {
    RequestQueue health = new RequestQueue(name + "-health", 1, MAX_QUICK_REQUESTS);
    // A metric may hang, for example with the file system that it measures.
    RequestQueue metrics = new RequestQueue(name + "-metrics", 4, MAX_QUICK_REQUESTS);
    Map<String, HttpRouter.Route> routes = new TreeMap<>();
    routes.put(HttpRouter.METRICS, new HttpRouter.Route(new MetricsPage(registry), metrics, null));
    routes.put("/healthz", health(call -> respond(call, liveness, "alive"), health));
    routes.put("/readyz", health(call -> respond(call, readiness, "ready"), health));
    return routes;
  }

  /** Starts an endpoint without pages of the program's own. */
  public static HttpEndpoint start(int port, PrometheusRegistry registry) throws IOException {
    return start(port, registry, Map.of());
  }

  /** Starts an endpoint whose pages scripts of other web sites cannot read. */
  public static HttpEndpoint start(
      int port, PrometheusRegistry registry, Map<String, HttpPage> pages) throws IOException {
    return start(port, registry, pages, Set.of());
  }

  /**
   * Starts an endpoint, which is live but not ready.
   *
   * @param port the TCP port, or 0 for any free port
   * @param pages the program's own pages by path; {@code /a/*} is for all paths below {@code /a/}
   * @param corsOrigins the web sites whose scripts may read those pages; {@code *}: all
   * @throws IOException if the port cannot be bound
   */
  public static HttpEndpoint start(
      int port, PrometheusRegistry registry, Map<String, HttpPage> pages, Set<String> corsOrigins)
      throws IOException {
    return start(new InetSocketAddress(port), registry, pages, corsOrigins, Limits.DEFAULT);
  }

  /**
   * As {@link #start(int, PrometheusRegistry, Map)}, for one address of the machine.
   *
   * @param address with the TCP port, or 0 for any free port
   */
  public static HttpEndpoint start(
      InetSocketAddress address, PrometheusRegistry registry, Map<String, HttpPage> pages)
      throws IOException {
    return start(address, registry, pages, Set.of(), Limits.DEFAULT);
  }

  static HttpEndpoint start(
      InetSocketAddress address,
      PrometheusRegistry registry,
      Map<String, HttpPage> pages,
      Set<String> corsOrigins,
      Limits limits)
      throws IOException {
    return start(address, registry, pages, corsOrigins, limits, null, AccessControl.open(false));
  }

  /**
   * As {@link #start(int, PrometheusRegistry, Map, Set)}, encrypted and for callers with a role.
   *
   * @param address with the TCP port, or 0 for any free port
   * @param tls null: plain text
   * @param access who may make which request; the caller closes it
   * @throws IOException if the port cannot be bound, or a TLS file is invalid
   */
  public static HttpEndpoint start(
      InetSocketAddress address,
      PrometheusRegistry registry,
      Map<String, HttpPage> pages,
      Set<String> corsOrigins,
      @Nullable ServerTls tls,
      AccessControl access)
      throws IOException {
    return start(address, registry, pages, corsOrigins, Limits.DEFAULT, tls, access);
  }

  static HttpEndpoint start(
      InetSocketAddress address,
      PrometheusRegistry registry,
      Map<String, HttpPage> pages,
      Set<String> corsOrigins,
      Limits limits,
      @Nullable ServerTls tls,
      AccessControl access)
      throws IOException {
    JvmMetrics.builder().register(registry);
    return new HttpEndpoint(address, registry, pages, corsOrigins, limits, tls, access);
  }

  public int port() {
    return main.port();
  }

  /** The port of probes and metrics alone; that of everything, if there is none. */
  public int probePort() {
    return probes == null ? main.port() : probes.port();
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
      if (!main.awaitIdle(grace)) {
        log.warn("requests in flight after {} s were cancelled", grace.toSeconds());
      }
    } finally {
      close();
    }
  }

  /** Shuts down immediately. Requests in flight are cancelled. */
  @Override
  public void close() {
    main.close();
    if (probes != null) {
      probes.close();
    }
    if (tls != null) {
      tls.close();
    }
  }

  private static HttpRouter.Route health(HttpPage page, RequestQueue queue) {
    return new HttpRouter.Route(page, queue, null);
  }

  private static void respond(HttpCall call, Readiness answer, String yes) throws IOException {
    Optional<String> whyNot = answer.whyNot();
    call.text(whyNot.isEmpty() ? 200 : 503, whyNot.orElse(yes));
  }
}
