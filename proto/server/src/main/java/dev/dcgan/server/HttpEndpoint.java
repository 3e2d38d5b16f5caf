package dev.dcgan.server;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.stream.ChunkedWriteHandler;
import io.netty.util.concurrent.GlobalEventExecutor;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
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
 */
public final class HttpEndpoint implements AutoCloseable {

  /**
   * The limits of an endpoint.
   *
   * @param connections open at once; a further one replaces the one that has waited longest for a
   *     request. Half of them may be of one client address
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
            32,
            480,
            Duration.ofSeconds(60),
            Duration.ofSeconds(10),
            Duration.ofSeconds(75),
            512,
            Duration.ofSeconds(30),
            ReadTime.DEFAULT);
  }

  private static final Logger log = LoggerFactory.getLogger(HttpEndpoint.class);
  private static final int BACKLOG = 1024;
  private static final int MAX_LINE_BYTES = 8 << 10;
  private static final int MAX_HEADER_BYTES = 16 << 10;
  private static final int MAX_CHUNK_BYTES = 8 << 10;
  private static final int MAX_QUICK_REQUESTS = 256;
  private static final Duration STOP_TIME = Duration.ofSeconds(2);

  private final EventLoopGroup loop;
  private final ChannelGroup open = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true);
  private final List<ExecutorService> executors;
  private final HttpRouter router;
  private final @Nullable ReloadingTls tls;
  private final Channel server;

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
    ThreadPoolExecutor health = pool("http-health", 1, MAX_QUICK_REQUESTS);
    // A metric may hang, for example with the file system that it measures.
    ThreadPoolExecutor metrics = pool("http-metrics", 4, MAX_QUICK_REQUESTS);
    ThreadPoolExecutor slow = pool("http", limits.pages, limits.waiting);
    // A page loads and can show the error even if all slots for pages are in use.
    ThreadPoolExecutor assets = pool("http-assets", 2, MAX_QUICK_REQUESTS);
    executors = List.of(health, metrics, slow, assets);
    TreeMap<String, HttpRouter.Route> routes = new TreeMap<>();
    routes.put("/metrics", new HttpRouter.Route(new MetricsPage(registry), metrics, null));
    routes.put("/healthz", health(call -> respond(call, liveness, "alive"), health));
    routes.put("/readyz", health(call -> respond(call, readiness, "ready"), health));
    CorsPolicy cors = corsOrigins.isEmpty() ? null : new CorsPolicy(corsOrigins);
    pages.forEach(
        (path, page) ->
            routes.put(
                path,
                page instanceof StaticAsset
                    ? new HttpRouter.Route(page, assets, null)
                    : new HttpRouter.Route(page, slow, cors)));
    router = new HttpRouter(routes, metrics, limits.maxWait, access, registry);
    HttpConnections connections =
        new HttpConnections(
            limits.connections,
            limits.firstRequest,
            limits.idle,
            new HttpEventStream.Limits(
                new Semaphore(limits.streams), limits.stalled.dividedBy(2), limits.stalled),
            limits.readTime,
            router::maxBody,
            router::accept);
    tls = files == null ? null : new ReloadingTls(files, ReloadingTls.Protocol.HTTP);
    SslContext encryption = tls == null ? null : tls.context();
    // One thread: it only parses requests and writes responses.
    loop = new MultiThreadIoEventLoopGroup(1, Threads.named("http-io"), NioIoHandler.newFactory());
    ChannelFuture bound =
        new ServerBootstrap()
            .group(loop)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, BACKLOG)
            .option(ChannelOption.SO_REUSEADDR, true)
            // Otherwise a small body waits 40 ms for the acknowledgement of its headers.
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    open.add(channel);
                    ChannelPipeline pipeline = channel.pipeline();
                    if (encryption != null) {
                      pipeline.addLast(encryption.newHandler(channel.alloc()));
                    }
                    pipeline.addLast(
                        new HttpServerCodec(MAX_LINE_BYTES, MAX_HEADER_BYTES, MAX_CHUNK_BYTES));
                    if (encryption != null) {
                      pipeline.addLast(new ChunkedWriteHandler()); // For files.
                    }
                    pipeline.addLast(connections.new Handler());
                  }
                })
            .bind(address)
            .awaitUninterruptibly();
    server = bound.channel();
    Throwable failure = bound.cause();
    if (failure != null) {
      stop();
      throw new IOException(
          "cannot serve HTTP on port %d (%s); choose another with --http-port"
              .formatted(address.getPort(), failure.getMessage()),
          failure);
    }
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
    return ((InetSocketAddress) server.localAddress()).getPort();
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
    server.close().awaitUninterruptibly();
    stop();
  }

  /** Closes all connections before the pages are interrupted. */
  private void stop() {
    open.close().awaitUninterruptibly();
    loop.shutdownGracefully(0, STOP_TIME.toMillis(), TimeUnit.MILLISECONDS)
        .awaitUninterruptibly(STOP_TIME.toMillis());
    executors.forEach(ExecutorService::shutdownNow);
    if (tls != null) {
      tls.close();
    }
  }

  private static HttpRouter.Route health(HttpPage page, ThreadPoolExecutor executor) {
    return new HttpRouter.Route(page, executor, null);
  }

  private static ThreadPoolExecutor pool(String name, int threads, int waiting) {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            1,
            TimeUnit.MINUTES,
            // Not fair: the thread of the connections would wait for its turn among all others.
            new ArrayBlockingQueue<>(waiting),
            Threads.named(name));
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }

  private static void respond(HttpCall call, Readiness answer, String yes) throws IOException {
    Optional<String> whyNot = answer.whyNot();
    call.text(whyNot.isEmpty() ? 200 : 503, whyNot.orElse(yes));
  }
}
