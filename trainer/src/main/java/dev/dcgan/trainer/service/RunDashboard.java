package dev.dcgan.trainer.service;

import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.Readiness;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;

/** The HTTP server of {@code trainer train}: metrics, health, and a dashboard of its run. */
public final class RunDashboard implements AutoCloseable {

  private static final Duration GRACE = Duration.ofSeconds(2);

  private final SingleRun run;
  private final RunCalls calls;
  private final HttpEndpoint endpoint;

  private RunDashboard(SingleRun run, RunCalls calls, HttpEndpoint endpoint) {
    this.run = run;
    this.calls = calls;
    this.endpoint = endpoint;
  }

  /**
   * Starts it, without a run yet and not ready.
   *
   * @param address with the TCP port, or 0 for any free port
   * @param records which open the run
   * @throws IOException the port cannot be bound
   */
  public static RunDashboard start(
      InetSocketAddress address, PrometheusRegistry registry, RunRecords records)
      throws IOException {
    SingleRun run = new SingleRun(records);
    RunCalls calls = new RunCalls(run);
    return new RunDashboard(
        run,
        calls,
        HttpEndpoint.start(address, registry, RunHttpHandler.pages(calls, HttpActions.NONE)));
  }

  /** The process is ready. */
  public void setReady() {
    endpoint.setReadiness(Readiness.READY);
  }

  /** Shows a run, which must not be closed before this is. */
  public void show(RunRecord record) {
    run.show(record);
  }

  public int port() {
    return endpoint.port();
  }

  /** Sends viewers the last events, and ends. */
  @Override
  public void close() {
    calls.endWatches();
    try {
      endpoint.drain(GRACE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    calls.close();
  }
}
