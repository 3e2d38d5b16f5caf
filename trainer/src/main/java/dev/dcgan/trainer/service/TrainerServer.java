package dev.dcgan.trainer.service;

import dev.dcgan.server.GrpcServer;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.ServerTls;
import dev.dcgan.server.ServingState;
import dev.dcgan.trainer.publish.CheckpointPublisher;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.trainer.torch.NativeFailureException;
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

/** The running service and its parts. */
public final class TrainerServer {

  /**
   * What a service is started with.
   *
   * @param runs the folder of runs
   * @param dataRoot the folder that callers may name files in; null: none
   * @param device of runs that are asked for without one
   * @param maxQueuedRuns that may wait
   * @param port of gRPC; 0 for any free one
   * @param httpPort of /metrics and /readyz; 0 for any free one
   * @param tls of gRPC; null: plain text
   */
  public record Config(
      Path runs,
      @Nullable Path dataRoot,
      String device,
      int maxQueuedRuns,
      int port,
      int httpPort,
      @Nullable ServerTls tls) {}

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
   * Starts to serve, and to train what a former process left unfinished.
   *
   * @param onNativeFailure called at most once, when the device or its memory has failed: the
   *     caller must {@link #drain} and end the process
   * @throws IOException a port cannot be bound, or the runs or the files of TLS cannot be read
   */
  public static TrainerServer start(
      Config config,
      RunManager.Trainer trainer,
      CheckpointPublisher.Target target,
      PrometheusRegistry registry,
      Consumer<NativeFailureException> onNativeFailure)
      throws IOException {
    InstantSource clock = InstantSource.system();
    // The ports first: one that is taken must be known before a run begins.
    HttpEndpoint endpoint = HttpEndpoint.start(config.httpPort(), registry);
    try {
      RunManager runs =
          new RunManager(
              new RunStore(config.runs(), clock),
              clock,
              new DataRoot(config.dataRoot()),
              config.device(),
              new RunScheduler(
                  trainer, config.maxQueuedRuns(), new RunStateMetrics(registry), onNativeFailure),
              new CheckpointPublisher(target));
      runs.recover();
      TrainerService service = new TrainerService(runs);
      GrpcServer server =
          GrpcServer.start(
              new GrpcServer.Config(config.port(), true, Duration.ZERO, config.tls()),
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
   * Ends: no longer ready, the run under way interrupted with a checkpoint, its watchers told of
   * all that it did, the calls under way answered.
   *
   * @param grace how long all of it may take; what is left then is cut off, and the run goes on
   *     from an older checkpoint
   */
  public void drain(Duration grace) throws InterruptedException {
    long start = System.nanoTime();
    server.setReady(false);
    if (!runs.close(grace)) {
      log.warn("the run under way was not left in {} s", grace.toSeconds());
    }
    service.endWatches();
    Duration left = grace.minusNanos(System.nanoTime() - start);
    server.drain(Duration.ZERO, left.isNegative() ? Duration.ZERO : left);
    service.close();
    endpoint.close();
  }
}
