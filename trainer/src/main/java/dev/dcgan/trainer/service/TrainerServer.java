package dev.dcgan.trainer.service;

import dev.dcgan.server.GrpcLimits;
import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.ServerTls;
import dev.dcgan.server.ServingState;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunStore;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
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
   * @param tls of gRPC; null: plain text
   * @param grpcLimits the limits for gRPC's clients
   */
  public record Config(
      Path runs,
      @Nullable Path dataRoot,
      String device,
      int maxQueuedRuns,
      int port,
      int httpPort,
      @Nullable ServerTls tls,
      GrpcLimits grpcLimits) {

    /** A configuration with the default limits. */
    public Config(
        Path runs,
        @Nullable Path dataRoot,
        String device,
        int maxQueuedRuns,
        int port,
        int httpPort,
        @Nullable ServerTls tls) {
      this(runs, dataRoot, device, maxQueuedRuns, port, httpPort, tls, GrpcLimits.DEFAULT);
    }
  }

  private static final Logger log = LoggerFactory.getLogger(TrainerServer.class);

  private final RunManager runs;
  private final TrainerService service;
  private final GrpcServer server;
  private final HttpEndpoint endpoint;

  private TrainerServer(
      RunManager runs, TrainerService service, GrpcServer server, HttpEndpoint endpoint) {
    this.runs = runs;
    this.service = service;
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
    // The ports first: no run must start if a port is taken.
    HttpEndpoint endpoint = HttpEndpoint.start(config.httpPort(), registry);
    try {
      RunManager runs =
          new RunManager(
              new RunStore(config.runs(), clock),
              clock,
              new DataRoot(config.dataRoot()),
              config.device(),
              new RunScheduler(
                  trainer,
                  config.maxQueuedRuns(),
                  RunScheduler.RETRY_DELAYS,
                  new RunStateMetrics(registry),
                  onDeviceFailure),
              publisher);
      runs.recover();
      TrainerService service = new TrainerService(runs);
      GrpcServer server =
          GrpcServer.start(
              new GrpcServer.Config(
                  config.port(), true, Duration.ZERO, config.tls(), config.grpcLimits()),
              registry,
              new ServingState(),
              service,
              List.of());
      endpoint.setReadiness(
          () -> server.isReady() ? Optional.empty() : Optional.of("starting, or draining"));
      runs.begin();
      server.setReady(true);
      return new TrainerServer(runs, service, server, endpoint);
    } catch (IOException e) {
      endpoint.close();
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
    service.endWatches();
    Duration left = grace.minusNanos(System.nanoTime() - start);
    server.drain(Duration.ZERO, left.isNegative() ? Duration.ZERO : left);
    service.close();
    endpoint.close();
  }
}
