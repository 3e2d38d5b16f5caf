package dev.dcgan.sampler.server;

import dev.dcgan.sampler.core.CallerQuota;
import dev.dcgan.sampler.core.ImageService;
import dev.dcgan.sampler.core.ModelService;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.grpc.InferenceGrpcService;
import dev.dcgan.sampler.grpc.SamplerGrpcService;
import dev.dcgan.sampler.http.Gallery;
import dev.dcgan.sampler.http.ImageHandler;
import dev.dcgan.sampler.http.ModelHandler;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ModelWatcher;
import dev.dcgan.sampler.models.ModelWatcherConfig;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.models.VersionFactory;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import dev.dcgan.sampler.scheduling.BatchingPolicy;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.scheduling.RunGuard;
import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.GrpcLimits;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.HttpPage;
import dev.dcgan.server.ServerTls;
import dev.dcgan.server.ServingState;
import dev.dcgan.server.StallCheck;
import dev.dcgan.server.Threads;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The running server and its parts. */
public final class SamplerServer {

  /**
   * The configuration of a server.
   *
   * @param port of gRPC; 0 for any free one
   * @param httpPort of /metrics, images and the gallery; 0 for any free one
   * @param maxConnectionAge zero: none
   * @param tls null: plain text
   * @param requested the {@code --provider} that the runtime's was chosen by
   * @param sessions concurrent inference sessions of each version
   * @param batchTimeout after which a batch that does not return counts as a lost device; zero:
   *     never
   * @param grpcLimits the limits for gRPC's clients
   * @param corsOrigins the web sites whose scripts may read images over HTTP
   * @param access who may reach and call the servers
   * @param imagesPerSecond of each caller; 0: no limit
   * @param httpImages whether there are images, and the gallery, over HTTP
   */
  public record Config(
      ModelWatcherConfig models,
      int port,
      int httpPort,
      Duration maxConnectionAge,
      @Nullable ServerTls tls,
      RuntimeSettings runtime,
      String requested,
      int sessions,
      BatchingPolicy policy,
      Duration batchTimeout,
      GrpcLimits grpcLimits,
      Set<String> corsOrigins,
      AccessConfig access,
      int imagesPerSecond,
      boolean httpImages) {

    /** A configuration with the default limits, for clients that are no scripts of web sites. */
    public Config(
        ModelWatcherConfig models,
        int port,
        int httpPort,
        Duration maxConnectionAge,
        @Nullable ServerTls tls,
        RuntimeSettings runtime,
        String requested,
        int sessions,
        BatchingPolicy policy,
        Duration batchTimeout) {
      this(
          models,
          port,
          httpPort,
          maxConnectionAge,
          tls,
          runtime,
          requested,
          sessions,
          policy,
          batchTimeout,
          GrpcLimits.DEFAULT,
          Set.of(),
          AccessConfig.OPEN,
          0,
          true);
    }
  }

  /** Makes what loads versions. */
  interface LoaderFactory {
    VersionFactory loader(RunGuard guard, SamplerMetrics metrics);
  }

  private static final Logger log = LoggerFactory.getLogger(SamplerServer.class);
  private static final int MAX_WAITING_TASKS = 64;
  // As much as half the heap; sent responses lie in buffers outside of it, which may be as large.
  private static final long RESPONSE_BYTES = Runtime.getRuntime().maxMemory() / 2;
  private static final Duration MIN_WAIT = Duration.ofSeconds(1);
  // After the device is lost: time for load balancers to notice, and for calls to fail.
  private static final Duration LOST_DELAY = Duration.ofSeconds(1);
  private static final Duration LOST_GRACE = Duration.ofSeconds(3);

  private final ExecutorService workers;
  private final ScheduledExecutorService stallChecks;
  private final GrpcServer server;
  private final HttpEndpoint endpoint;
  private final ModelWatcher watcher;
  private final RunGuard guard;
  private final AccessControl access;

  private SamplerServer(
      ExecutorService workers,
      ScheduledExecutorService stallChecks,
      GrpcServer server,
      HttpEndpoint endpoint,
      ModelWatcher watcher,
      RunGuard guard,
      AccessControl access) {
    this.guard = guard;
    this.access = access;
    this.workers = workers;
    this.stallChecks = stallChecks;
    this.server = server;
    this.endpoint = endpoint;
    this.watcher = watcher;
  }

  /**
   * Starts to serve; ready as soon as there are models.
   *
   * @param exit ends the process; called after the device is lost and all calls have failed
   * @throws IOException a port cannot be bound, or a file of TLS is wrong
   */
  public static SamplerServer start(Config config, Runnable exit) throws IOException {
    return start(
        config,
        exit,
        (guard, metrics) ->
            bundle ->
                ServedVersion.open(
                    bundle,
                    config.runtime(),
                    config.sessions(),
                    config.policy(),
                    metrics.batches(bundle.name()),
                    guard));
  }

  /** {@link #start(Config, Runnable)}, with other networks. */
  public static SamplerServer start(Config config, Runnable exit, LoaderFactory factory)
      throws IOException {
    DeviceHealth health = new DeviceHealth();
    RunGuard guard =
        new RunGuard(
            health, RuntimeFailure::of, config.batchTimeout(), System::nanoTime, RunGuard::sleep);
    PrometheusRegistry registry = new PrometheusRegistry();
    SamplerMetrics metrics = new SamplerMetrics(registry);
    metrics.provider(config.runtime().provider(), config.requested());
    ModelWatcher watcher =
        new ModelWatcher(
            config.models(), factory.loader(guard, metrics), metrics, health, System::nanoTime);
    guard.onOutOfMemory(watcher.models()::evictIdle);
    ExecutorService workers = workers();
    ResponseBudget budget = new ResponseBudget(RESPONSE_BYTES);
    SamplerMetrics.responses(budget, registry);
    ImageService images =
        new ImageService(
            watcher.models(),
            budget,
            workers,
            new CallerQuota(config.imagesPerSecond(), System::nanoTime));
    ModelService models = new ModelService(watcher.models(), budget);
    ServingState state = new ServingState();
    AccessControl access = AccessControl.start(config.access(), config.tls(), registry);
    GrpcServer server;
    try {
      server =
          GrpcServer.start(
              new GrpcServer.Config(
                  config.port(),
                  false,
                  config.maxConnectionAge(),
                  config.tls(),
                  config.grpcLimits(),
                  access),
              registry,
              state,
              new SamplerGrpcService(images, models, metrics),
              List.of(
                  new InferenceGrpcService(
                      images, models, metrics, () -> !health.isLost(), state::isReady)));
    } catch (IOException e) {
      access.close();
      throw e;
    }
    Map<String, HttpPage> pages =
        new HashMap<>(ModelHandler.pages(models, server.port(), config.tls() != null));
    if (config.httpImages()) {
      pages.putAll(ImageHandler.pages(images, metrics, workers));
      pages.putAll(Gallery.assets());
    }
    HttpEndpoint endpoint;
    try {
      endpoint =
          HttpEndpoint.start(
              config.access().at(config.httpPort()),
              registry,
              pages,
              config.corsOrigins(),
              config.tls(),
              access);
    } catch (IOException e) {
      server.close();
      access.close();
      throw e;
    }
    endpoint.setLiveness(health::whyLost);
    endpoint.setReadiness(
        () -> health.whyLost().or(() -> whyNotReady(state, config.models().names())));
    health.onLost(
        reason -> {
          try {
            end(server, watcher.models(), guard);
          } finally {
            exit.run();
          }
        });
    guard.start();
    watcher.start(() -> server.setReady(true));
    ScheduledExecutorService stallChecks =
        Executors.newSingleThreadScheduledExecutor(Threads.named("response-time"));
    var unused =
        stallChecks.scheduleWithFixedDelay(
            new StallCheck(budget.unread(), System::nanoTime),
            StallCheck.INTERVAL.toNanos(),
            StallCheck.INTERVAL.toNanos(),
            TimeUnit.NANOSECONDS);
    return new SamplerServer(workers, stallChecks, server, endpoint, watcher, guard, access);
  }

  /** Fails all requests and health checks because the device is lost; waits a bounded time. */
  private static void end(GrpcServer server, ModelRegistry models, RunGuard guard) {
    server.reportBroken();
    guard.lost().ifPresent(models::failQueued);
    guard.failRunning();
    server.drain(LOST_DELAY, LOST_GRACE);
  }

  public int port() {
    return server.port();
  }

  public int httpPort() {
    return endpoint.port();
  }

  /**
   * Ends without dropping a request; see {@link GrpcServer#drain}. Requests over HTTP are accepted
   * a little longer than those over gRPC: until the models close, which wait for them.
   *
   * @param grace for all of it after the delay: each later step has what is left, and at least
   *     {@link #MIN_WAIT}
   */
  public void drain(Duration delay, Duration grace) throws InterruptedException {
    long end = System.nanoTime() + delay.plus(grace).toNanos();
    watcher.stopPolling();
    server.drain(delay, grace);
    watcher.close();
    // A process that ends while ONNX Runtime is at work may crash.
    if (!watcher.awaitClosed(left(end))) {
      log.warn(
          "a version was still being loaded when the grace of {} s was over", grace.toSeconds());
    }
    if (!watcher.models().close(left(end))) {
      log.warn("the network still ran when the grace of {} s was over", grace.toSeconds());
    }
    endpoint.drain(left(end));
    workers.shutdown();
    stallChecks.shutdown();
    guard.close();
    access.close();
  }

  private static Duration left(long end) {
    Duration left = Duration.ofNanos(end - System.nanoTime());
    return left.compareTo(MIN_WAIT) > 0 ? left : MIN_WAIT;
  }

  private static Optional<String> whyNotReady(ServingState state, List<String> named) {
    if (state.isReady()) {
      return Optional.empty();
    }
    if (state.isDraining()) {
      return Optional.of("draining");
    }
    return Optional.of(
        named.isEmpty()
            ? "no model is served yet"
            : "not all of these models are served yet: " + String.join(", ", named));
  }

  /**
   * One thread per core. If their queue is full, or they have ended, the submitter runs the task
   * itself: so images wait in the scheduler's queue, which is bounded, and not here.
   */
  private static ExecutorService workers() {
    int threads = Runtime.getRuntime().availableProcessors();
    return new ThreadPoolExecutor(
        threads,
        threads,
        0,
        TimeUnit.SECONDS,
        new ArrayBlockingQueue<>(MAX_WAITING_TASKS),
        Threads.named("worker"),
        (task, pool) -> task.run());
  }
}
