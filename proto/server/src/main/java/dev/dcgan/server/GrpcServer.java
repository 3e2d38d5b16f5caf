package dev.dcgan.server;

import io.grpc.BindableService;
import io.grpc.Server;
import io.grpc.ServerInterceptors;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioServerSocketChannel;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionService;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One gRPC service, or more, with what every deployment needs around it: health, reflection,
 * metrics, and an end that drops no call.
 *
 * <p>Liveness is the health of service {@code ""}, SERVING until {@link #reportBroken} or the end.
 * Readiness is the health of the first service's name, NOT_SERVING until {@link #setReady}.
 * Thread-safe.
 */
public final class GrpcServer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(GrpcServer.class);
  private static final int MAX_REQUEST_BYTES = 1 << 20;
  // Many callers may share a proxy's connection; the rest wait at the client. What they leave
  // unread is in our memory: services with large answers bound it, by CallConnection.
  private static final int MOST_CALLS_OF_A_CONNECTION = 1000;
  private static final Duration CUT_OFF = Duration.ofSeconds(5);

  private final String service;
  private final HealthStatusManager health;
  private final HealthWatches watches;
  private final ServingState state;
  private final @Nullable ReloadedTls tls;
  private final EventLoopGroup loops;
  private final ExecutorService executor;
  private final Server server;

  private GrpcServer(
      String service,
      HealthStatusManager health,
      HealthWatches watches,
      ServingState state,
      @Nullable ReloadedTls tls,
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
   * How to serve.
   *
   * @param port 0 for any free one
   * @param handlersBlock whether handlers may take long, or wait: then calls run on a pool of one
   *     thread a core. Otherwise they run on the threads that read and write
   * @param maxConnectionAge after which a client is asked to connect anew, so that it hears of
   *     other servers; its calls under way go on. Zero: never
   * @param tls null: plain text
   */
  public record Config(
      int port, boolean handlersBlock, Duration maxConnectionAge, @Nullable ServerTls tls) {}

  /**
   * Starts to serve one service whose handlers may block, in plain text; on a port of 0 any free
   * one.
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
   * Starts to serve, alive but not ready.
   *
   * @param state follows this server's
   * @param service whose name's health is the readiness
   * @param further services
   * @throws IOException the port cannot be bound, or a file of TLS is wrong
   */
  @SuppressWarnings("deprecation") // The reflection of v1alpha: the only one that old clients know.
  public static GrpcServer start(
      Config config,
      PrometheusRegistry registry,
      ServingState state,
      BindableService service,
      List<? extends BindableService> further)
      throws IOException {
    String name = service.bindService().getServiceDescriptor().getName();
    HealthStatusManager health = new HealthStatusManager();
    HealthWatches watches = new HealthWatches();
    health.setStatus(name, ServingStatus.NOT_SERVING);
    ReloadedTls tls = config.tls == null ? null : new ReloadedTls(config.tls);
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
        NettyServerBuilder.forPort(config.port)
            .channelType(hasEpoll ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
            .bossEventLoopGroup(loops)
            .workerEventLoopGroup(loops)
            .maxConcurrentCallsPerConnection(MOST_CALLS_OF_A_CONNECTION)
            .maxInboundMessageSize(MAX_REQUEST_BYTES)
            // A caller that vanished without a word is noticed, and what it held is freed.
            .keepAliveTime(1, TimeUnit.MINUTES)
            .addService(service)
            .addService(ServerInterceptors.intercept(health.getHealthService(), watches))
            .addService(ProtoReflectionServiceV1.newInstance())
            .addService(ProtoReflectionService.newInstance())
            // The last one added sees a call first.
            .intercept(new CallConnection.Marker())
            .intercept(new FaultBarrier())
            .intercept(new ServerMetrics(registry));
    further.forEach(builder::addService);
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
      end(loops);
      throw new IOException(
          "cannot serve gRPC on port %d (%s); choose another with --port"
              .formatted(config.port, rootMessage(e)),
          e);
    }
  }

  public int port() {
    return server.getPort();
  }

  /** Tells load balancers whether to send calls here; once draining, the answer stays no. */
  public synchronized void setReady(boolean ready) {
    state.setReady(ready);
    health.setStatus(service, state.isReady() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  }

  /** What load balancers are told. */
  public boolean isReady() {
    return state.isReady();
  }

  /**
   * Tells load balancers and supervisors that this process can never serve again: neither {@code
   * ""} nor the service is SERVING from now on.
   */
  public synchronized void reportBroken() {
    state.breakDown();
    setReady(false);
    health.setStatus(HealthStatusManager.SERVICE_NAME_ALL_SERVICES, ServingStatus.NOT_SERVING);
  }

  private synchronized void neverReadyAgain() {
    state.drain();
    setReady(false);
  }

  /**
   * Ends without dropping a call: not ready at once, still accepting for {@code lame} until load
   * balancers have noticed, then no new calls and up to {@code grace} for those under way. Watches
   * on its health end with the new calls.
   */
  public void drain(Duration lame, Duration grace) {
    neverReadyAgain();
    try {
      TimeUnit.NANOSECONDS.sleep(lame.toNanos());
      server.shutdown();
      watches.end();
      if (!server.awaitTermination(grace.toNanos(), TimeUnit.NANOSECONDS)) {
        log.warn("calls still under way after {} s were cut off", grace.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      close();
    }
  }

  /** Ends at once; calls under way are cut off, and their handlers have been told so on return. */
  @Override
  public void close() {
    neverReadyAgain();
    if (tls != null) {
      tls.close();
    }
    // Whoever was interrupted while draining comes here too, and must wait nonetheless.
    boolean interrupted = Thread.interrupted();
    server.shutdownNow();
    try {
      // The executors go last: through them handlers hear that their calls have ended.
      boolean ended = server.awaitTermination(CUT_OFF.toNanos(), TimeUnit.NANOSECONDS);
      executor.shutdown();
      if (!ended || !executor.awaitTermination(CUT_OFF.toNanos(), TimeUnit.NANOSECONDS)) {
        log.warn("a call still runs {} s after it was cut off", CUT_OFF.toSeconds());
      }
      end(loops);
    } catch (InterruptedException e) {
      executor.shutdown();
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void end(EventLoopGroup loops) {
    var unused = loops.shutdownGracefully(0, CUT_OFF.toSeconds(), TimeUnit.SECONDS);
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return String.valueOf(root.getMessage());
  }
}
