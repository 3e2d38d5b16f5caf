package dev.dcgan.server;

import io.grpc.BindableService;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerInterceptors;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionService;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A gRPC server with health checks, reflection, metrics and graceful shutdown.
 *
 * <p>Liveness is the health of service {@code ""}, which is SERVING until {@link #reportBroken} or
 * the shutdown. Readiness is the health of the first service's name, NOT_SERVING until {@link
 * #setReady}. Thread-safe.
 */
public final class GrpcServer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(GrpcServer.class);

  /** The most bytes of a request: a client may send back whatever fits into one response. */
  public static final int MAX_REQUEST_BYTES = 4 << 20;

  // Many clients may share a proxy's connection; further calls wait at the client. Unread responses
  // occupy the server's memory: services with large responses limit them per CallConnection.
  static final int MAX_CALLS_PER_CONNECTION = 1000;
  // Fixed: gRPC would raise it to 8 MiB by its measurements. Requests are small.
  private static final int WINDOW_BYTES = 256 << 10;
  // A connection occupies its buffer, and while a frame is incomplete about twice that.
  private static final int MAX_READ_BYTES = 8 << 10;
  // Of the connection, with TLS.
  private static final Duration HANDSHAKE_TIMEOUT = Duration.ofSeconds(10);
  private static final Duration CANCEL_TIMEOUT = Duration.ofSeconds(5);

  private final String service;
  private final HealthStatusManager health;
  private final HealthWatches watches;
  private final ServingState state;
  private final @Nullable ReloadingTls tls;
  private final EventLoopGroup loops;
  private final ExecutorService executor;
  private final Server server;

  private GrpcServer(
      String service,
      HealthStatusManager health,
      HealthWatches watches,
      ServingState state,
      @Nullable ReloadingTls tls,
      EventLoopGroup loops,
      ExecutorService executor,
      Server server) {
    this.service = service;
    this.health = health;
    this.watches = watches;
    this.state = state;
    this.tls = tls;
    this.loops = loops;
    this.executor = executor;
    this.server = server;
  }

  /**
   * The configuration of a server.
   *
   * @param port the TCP port, or 0 for any free port
   * @param handlersBlock whether handlers may block or take long. If so, calls run on a pool with
   *     one thread per core; otherwise they run on the event loops
   * @param maxConnectionAge the age after which a client is asked to reconnect, so that it
   *     discovers other replicas; calls in flight complete. Zero disables the limit
   * @param tls the TLS files, or null for plain text
   * @param limits the limits for clients
   * @param access who may call; the caller closes it
   */
  public record Config(
      int port,
      boolean handlersBlock,
      Duration maxConnectionAge,
      @Nullable ServerTls tls,
      GrpcLimits limits,
      AccessControl access) {

    /** A configuration for everyone who reaches it, or has a certificate. */
    public Config(
        int port,
        boolean handlersBlock,
        Duration maxConnectionAge,
        @Nullable ServerTls tls,
        GrpcLimits limits) {
      this(
          port,
          handlersBlock,
          maxConnectionAge,
          tls,
          limits,
          AccessControl.open(AccessControl.requiresCertificate(tls)));
    }

    /** A configuration with {@link GrpcLimits#DEFAULT}. */
    public Config(
        int port, boolean handlersBlock, Duration maxConnectionAge, @Nullable ServerTls tls) {
      this(port, handlersBlock, maxConnectionAge, tls, GrpcLimits.DEFAULT);
    }
  }

  /**
   * Starts a server for one service whose handlers may block, in plain text. Port 0 selects any
   * free port.
   */
  public static GrpcServer start(int port, BindableService service, PrometheusRegistry registry)
      throws IOException {
    return start(
        new Config(port, true, Duration.ZERO, null),
        registry,
        new ServingState(),
        service,
        List.of());
  }

  /**
   * Starts a server, which is live but not ready.
   *
   * @param state receives the state of this server
   * @param service the service whose health is the readiness
   * @param further other services
   * @throws IOException if the port cannot be bound or a TLS file is invalid
   */
  public static GrpcServer start(
      Config config,
      PrometheusRegistry registry,
      ServingState state,
      BindableService service,
      List<? extends BindableService> further)
      throws IOException {
    return start(config, FloodLimits.DEFAULT, registry, state, service, further);
  }

  @SuppressWarnings("deprecation") // Old clients know only reflection v1alpha.
  static GrpcServer start(
      Config config,
      FloodLimits floods,
      PrometheusRegistry registry,
      ServingState state,
      BindableService service,
      List<? extends BindableService> further)
      throws IOException {
    String name = service.bindService().getServiceDescriptor().getName();
    HealthStatusManager health = new HealthStatusManager();
    HealthWatches watches = new HealthWatches();
    InvalidRequests requests = new InvalidRequests(System::nanoTime);
    FloodMetrics floodMetrics = new FloodMetrics(registry, System::nanoTime);
    GrpcConnections connections = new GrpcConnections(floods, floodMetrics, System::nanoTime);
    health.setStatus(name, ServingStatus.NOT_SERVING);
    ReloadingTls tls =
        config.tls == null ? null : new ReloadingTls(config.tls, ReloadingTls.Protocol.GRPC);
    List<ServerServiceDefinition> services = new ArrayList<>();
    services.add(service.bindService());
    further.forEach(other -> services.add(other.bindService()));
    services.forEach(config.access::requireRules);
    services.add(ServerInterceptors.intercept(health.getHealthService(), watches));
    if (config.access.config().reflection()) {
      services.add(ProtoReflectionServiceV1.newInstance().bindService());
      services.add(ProtoReflectionService.newInstance().bindService());
    }
    boolean hasEpoll = Epoll.isAvailable();
    EventLoopGroup loops =
        new MultiThreadIoEventLoopGroup(
            Runtime.getRuntime().availableProcessors(),
            Threads.named("connection"),
            hasEpoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
    ExecutorService executor =
        Executors.newFixedThreadPool(
            Math.max(2, Runtime.getRuntime().availableProcessors()), Threads.named("grpc"));
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(config.access.config().at(config.port))
            .channelFactory(
                () -> {
                  ServerChannel channel =
                      hasEpoll ? new EpollServerSocketChannel() : new NioServerSocketChannel();
                  channel.pipeline().addLast(connections);
                  return channel;
                })
            .bossEventLoopGroup(loops)
            .workerEventLoopGroup(loops)
            .withChildOption(
                ChannelOption.RCVBUF_ALLOCATOR,
                new AdaptiveRecvByteBufAllocator(1 << 10, 2 << 10, MAX_READ_BYTES))
            .maxConcurrentCallsPerConnection(MAX_CALLS_PER_CONNECTION)
            .maxRstFramesPerWindow(floods.resets(), (int) floods.window().toSeconds())
            .flowControlWindow(WINDOW_BYTES)
            .handshakeTimeout(HANDSHAKE_TIMEOUT.toNanos(), TimeUnit.NANOSECONDS)
            .maxInboundMessageSize(MAX_REQUEST_BYTES)
            .maxInboundMetadataSize(config.limits.maxMetadataBytes())
            // A stream whose client pauses sends nothing, and then nothing else excuses its pings.
            .permitKeepAliveTime(config.limits.permitKeepalive().toNanos(), TimeUnit.NANOSECONDS)
            .permitKeepAliveWithoutCalls(true)
            // Detects clients that vanished without closing the connection, and frees their memory.
            .keepAliveTime(1, TimeUnit.MINUTES)
            .addStreamTracerFactory(requests)
            .addStreamTracerFactory(
                new CallStream.Factory(
                    new MemoryShares(floods.requestBytes()),
                    floods.requestTime(),
                    clientStreaming(services),
                    floodMetrics))
            // The interceptor that is added last is called first.
            .intercept(new CallConnection.Marker())
            .intercept(new FaultBarrier())
            .intercept(requests)
            .intercept(config.access.interceptor())
            .intercept(new ServerMetrics(registry))
            .intercept(new CallLog())
            .intercept(new CallTrace.Interceptor());
    services.forEach(definition -> builder.addService(requests.guard(definition)));
    if (tls != null) {
      builder.sslContext(tls.context());
    }
    if (config.handlersBlock) {
      builder.executor(executor);
    } else {
      builder.directExecutor();
      CallThread.register(loops);
    }
    if (!config.maxConnectionAge.isZero()) {
      builder.maxConnectionAge(config.maxConnectionAge.toNanos(), TimeUnit.NANOSECONDS);
    }
    try {
      return new GrpcServer(
          name, health, watches, state, tls, loops, executor, builder.build().start());
    } catch (IOException e) {
      if (tls != null) {
        tls.close();
      }
      executor.shutdown();
      shutdown(loops);
      throw new IOException(
          "cannot serve gRPC on port %d (%s); choose another with --port"
              .formatted(config.port, rootMessage(e)),
          e);
    }
  }

  private static Set<String> clientStreaming(List<ServerServiceDefinition> services) {
    return services.stream()
        .flatMap(service -> service.getMethods().stream())
        .map(ServerMethodDefinition::getMethodDescriptor)
        .filter(method -> !method.getType().clientSendsOneMessage())
        .map(MethodDescriptor::getFullMethodName)
        .collect(Collectors.toSet());
  }

  public int port() {
    return server.getPort();
  }

  /** Sets the readiness for load balancers. A draining server is never ready again. */
  public synchronized void setReady(boolean ready) {
    state.setReady(ready);
    health.setStatus(service, state.isReady() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  }

  /** The readiness that load balancers see. */
  public boolean isReady() {
    return state.isReady();
  }

  /**
   * Reports that this process cannot recover. From now on neither {@code ""} nor the service is
   * SERVING.
   */
  public synchronized void reportBroken() {
    state.breakDown();
    setReady(false);
    health.setStatus(HealthStatusManager.SERVICE_NAME_ALL_SERVICES, ServingStatus.NOT_SERVING);
  }

  private synchronized void startDraining() {
    state.drain();
    setReady(false);
  }

  /**
   * Shuts down gracefully. The server reports that it is not ready and accepts calls for {@code
   * lameDuck}, until load balancers have noticed. Then it refuses new calls, ends health watches
   * and waits up to {@code grace} for calls in flight.
   */
  public void drain(Duration lameDuck, Duration grace) {
    startDraining();
    try {
      TimeUnit.NANOSECONDS.sleep(lameDuck.toNanos());
      server.shutdown();
      watches.end();
      if (!server.awaitTermination(grace.toNanos(), TimeUnit.NANOSECONDS)) {
        log.warn("calls in flight after {} s were cancelled", grace.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      close();
    }
  }

  /** Shuts down immediately. Calls in flight are cancelled, and on return their handlers know. */
  @Override
  public void close() {
    startDraining();
    if (tls != null) {
      tls.close();
    }
    // A thread that was interrupted while draining must wait here nevertheless.
    boolean interrupted = Thread.interrupted();
    server.shutdownNow();
    try {
      // The executors are shut down last, because handlers are notified through them.
      boolean terminated = server.awaitTermination(CANCEL_TIMEOUT.toNanos(), TimeUnit.NANOSECONDS);
      executor.shutdown();
      if (!terminated
          || !executor.awaitTermination(CANCEL_TIMEOUT.toNanos(), TimeUnit.NANOSECONDS)) {
        log.warn("a call is still running {} s after it was cancelled", CANCEL_TIMEOUT.toSeconds());
      }
      shutdown(loops);
    } catch (InterruptedException e) {
      executor.shutdown();
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void shutdown(EventLoopGroup loops) {
    var unused = loops.shutdownGracefully(0, CANCEL_TIMEOUT.toSeconds(), TimeUnit.SECONDS);
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return String.valueOf(root.getMessage());
  }
}
