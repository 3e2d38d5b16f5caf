package dev.dcgan.trainer.service;

import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.GrpcLimits;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.ServerTls;
import dev.dcgan.server.ServingState;
import dev.dcgan.server.StallCheck;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunStore;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The trainer service: gRPC server, HTTP server and runs. */
public final class TrainerServer {

  /**
   * What a service is started with.
   *
   * @param runs the folder of runs
   * @param dataRoot the folder whose files callers may name; null: none
   * @param device of runs that name none
   * @param maxQueuedRuns the capacity of the queue
   * @param port of gRPC; 0: any free port
   * @param httpPort of /metrics and /readyz; 0: any free port
   * @param tls null: plain text
   * @param grpcLimits the limits for gRPC's clients
   * @param httpAddress that HTTP listens on; null: as gRPC
   * @param httpActions whether there are actions over HTTP for callers of other machines too
   * @param limits of a run
   * @param access who may reach and call the servers
   */
  public record Config(
      Path runs,
      @Nullable Path dataRoot,
      String device,
      int maxQueuedRuns,
      int port,
      int httpPort,
      @Nullable ServerTls tls,
      GrpcLimits grpcLimits,
      @Nullable InetAddress httpAddress,
      boolean httpActions,
      RunLimits limits,
      AccessConfig access) {

    /** A configuration with the default limits, and no actions over HTTP. */
    public Config(
        Path runs,
        @Nullable Path dataRoot,
        String device,
        int maxQueuedRuns,
        int port,
        int httpPort,
        @Nullable ServerTls tls) {
      this(
          runs,
          dataRoot,
          device,
          maxQueuedRuns,
          port,
          httpPort,
          tls,
          GrpcLimits.DEFAULT,
          null,
          false,
          RunLimits.DEFAULT,
          AccessConfig.OPEN);
    }

    InetSocketAddress http() {
      return httpAddress == null ? access.at(httpPort) : AccessConfig.at(httpAddress, httpPort);
    }
  }

  private static final Logger log = LoggerFactory.getLogger(TrainerServer.class);

  private final RunManager runs;
  private final RunCalls calls;
  private final GrpcServer server;
  private final HttpEndpoint endpoint;
  private final AccessControl access;
  private final ScheduledExecutorService stallChecks;

  private TrainerServer(
      RunManager runs,
      RunCalls calls,
      GrpcServer server,
      HttpEndpoint endpoint,
      AccessControl access,
      ScheduledExecutorService stallChecks) {
    this.access = access;
    this.stallChecks = stallChecks;
    this.runs = runs;
    this.calls = calls;
    this.server = server;
    this.endpoint = endpoint;
  }

  /**
   * Starts to serve, and to train the runs that an earlier process has not ended.
   *
   * @param onDeviceFailure receives the reason, at most once, when the device or its memory has
   *     failed: the caller must {@link #drain} and end the process
   * @throws IOException a port cannot be bound, or the runs or the TLS files cannot be read
   */
  public static TrainerServer start(
      Config config,
      RunManager.Trainer trainer,
      CheckpointPublisher publisher,
      PrometheusRegistry registry,
      Consumer<String> onDeviceFailure)
      throws IOException {
    InstantSource clock = InstantSource.system();
    RunManager runs =
        new RunManager(
            new RunStore(config.runs(), clock),
            clock,
            new DataRoot(config.dataRoot()),
            config.device(),
            config.limits(),
            new RunScheduler(
                trainer,
                config.maxQueuedRuns(),
                RunScheduler.RETRY_DELAYS,
                new RunStateMetrics(registry),
                onDeviceFailure),
            publisher);
    RunCalls calls = new RunCalls(runs);
    HttpActions actions = HttpActions.of(config.http().getAddress(), config.httpActions());
    AccessControl access = AccessControl.start(config.access(), config.tls(), registry);
    // The ports first: no run must start if a port is taken.
    HttpEndpoint endpoint;
    try {
      endpoint =
          HttpEndpoint.start(
              config.http(),
              registry,
              RunHttpHandler.pages(calls, actions),
              Set.of(),
              config.tls(),
              access);
    } catch (IOException e) {
      access.close();
      throw e;
    }
    try {
      runs.recover();
      GrpcServer server =
          GrpcServer.start(
              new GrpcServer.Config(
                  config.port(), true, Duration.ZERO, config.tls(), config.grpcLimits(), access),
              registry,
              new ServingState(),
              new TrainerService(calls),
              List.of());
      endpoint.setReadiness(
          () -> server.isReady() ? Optional.empty() : Optional.of("starting, or draining"));
      runs.begin();
      server.setReady(true);
      ScheduledExecutorService stallChecks =
          Executors.newSingleThreadScheduledExecutor(Threads.named("response-time"));
      long interval = StallCheck.INTERVAL.toNanos();
      var unused =
          stallChecks.scheduleWithFixedDelay(
              new StallCheck(calls.budget().unread(), System::nanoTime),
              interval,
              interval,
              TimeUnit.NANOSECONDS);
      return new TrainerServer(runs, calls, server, endpoint, access, stallChecks);
    } catch (IOException e) {
      endpoint.close();
      access.close();
      throw e;
    }
  }

  public int port() {
    return server.port();
  }

  public int httpPort() {
    return endpoint.port();
  }

  /**
   * Shuts down: readiness ends, the active run writes a checkpoint and is interrupted, its
   * subscribers receive all its events, active calls are finished.
   *
   * @param grace for all of it; afterwards calls are cancelled, and the run is continued later from
   *     an older checkpoint
   */
  public void drain(Duration grace) throws InterruptedException {
    long start = System.nanoTime();
    server.setReady(false);
    if (!runs.close(grace)) {
      log.warn("the active run did not end within {} s", grace.toSeconds());
    }
    calls.endWatches();
    server.drain(Duration.ZERO, left(grace, start));
    endpoint.drain(left(grace, start));
    stallChecks.shutdownNow();
    calls.close();
    access.close();
  }

  private static Duration left(Duration grace, long start) {
    Duration left = grace.minusNanos(System.nanoTime() - start);
    return left.isNegative() ? Duration.ZERO : left;
  }
}
