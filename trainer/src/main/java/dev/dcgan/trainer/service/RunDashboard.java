package dev.dcgan.trainer.service;

import dev.dcgan.server.AccessConfig;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.HttpEndpoint;
import dev.dcgan.server.Readiness;
import dev.dcgan.server.ServerTls;
import dev.dcgan.trainer.run.RunRecord;
import dev.dcgan.trainer.run.RunRecords;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The HTTP server of {@code trainer train}: metrics, health, and a dashboard of its run. */
public final class RunDashboard implements AutoCloseable {

  private static final Duration GRACE = Duration.ofSeconds(2);

  private final SingleRun run;
  private final RunCalls calls;
  private final HttpEndpoint endpoint;
  private final AccessControl access;

  private RunDashboard(SingleRun run, RunCalls calls, HttpEndpoint endpoint, AccessControl access) {
    this.run = run;
    this.calls = calls;
    this.endpoint = endpoint;
    this.access = access;
  }

  /**
   * Starts it, without a run yet and not ready.
   *
   * @param address with the TCP port, or 0 for any free port
   * @param config who may read it; its address does not count
   * @param tls null: plain text
   * @param records which open the run
   * @throws IOException the port cannot be bound, or a file of TLS or tokens cannot be read
   */
  public static RunDashboard start(
      InetSocketAddress address,
      AccessConfig config,
      @Nullable ServerTls tls,
      PrometheusRegistry registry,
      RunRecords records)
      throws IOException {
    SingleRun run = new SingleRun(records);
    RunCalls calls = new RunCalls(run);
    AccessControl access = AccessControl.start(config, tls, registry);
    try {
      HttpEndpoint endpoint =
          HttpEndpoint.start(
              address,
              registry,
              RunHttpHandler.pages(calls, HttpActions.NONE),
              Set.of(),
              tls,
              access);
      return new RunDashboard(run, calls, endpoint, access);
    } catch (IOException e) {
      access.close();
      throw e;
    }
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
    access.close();
  }
}
