package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import io.grpc.BindableService;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionService;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One gRPC service with what every deployment needs around it: health, reflection, metrics, and an
 * end that drops no call.
 *
 * <p>Liveness is the health of service {@code ""}, SERVING from start to end. Readiness is the
 * health of the service's own name, NOT_SERVING until {@link #setReady}. Thread-safe. Calls run on
 * a fixed pool of one thread a core; handlers must not block.
 */
public final class GrpcServer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(GrpcServer.class);
  private static final int MAX_REQUEST_BYTES = 1 << 20;

  private final String service;
  private final HealthStatusManager health;
  private final ExecutorService executor;
  private final Server server;

  // Mutable state
  @GuardedBy("this") private boolean draining;

  private GrpcServer(
      String service, HealthStatusManager health, ExecutorService executor, Server server) {
    this.service = service;
    this.health = health;
    this.executor = executor;
    this.server = server;
  }

  /**
   * Starts to serve, alive but not ready.
   *
   * @param port 0 for any free one
   * @throws IOException the port cannot be bound
   */
  @SuppressWarnings("deprecation") // The reflection of v1alpha: the only one that old clients know.
  public static GrpcServer start(int port, BindableService service, PrometheusRegistry registry)
      throws IOException {
    String name = service.bindService().getServiceDescriptor().getName();
    HealthStatusManager health = new HealthStatusManager();
    health.setStatus(name, ServingStatus.NOT_SERVING);
    ExecutorService executor =
        Executors.newFixedThreadPool(
            Math.max(2, Runtime.getRuntime().availableProcessors()), Threads.named("grpc"));
    ServerBuilder<?> builder =
        Grpc.newServerBuilderForPort(port, InsecureServerCredentials.create())
            .executor(executor)
            .maxInboundMessageSize(MAX_REQUEST_BYTES)
            .addService(service)
            .addService(health.getHealthService())
            .addService(ProtoReflectionServiceV1.newInstance())
            .addService(ProtoReflectionService.newInstance())
            // The last one added sees a call first.
            .intercept(new FaultBarrier())
            .intercept(new ServerMetrics(registry));
    try {
      return new GrpcServer(name, health, executor, builder.build().start());
    } catch (IOException e) {
      executor.shutdown();
      throw new IOException(
          "cannot serve gRPC on port %d (%s); choose another with --port"
              .formatted(port, rootMessage(e)),
          e);
    }
  }

  public int port() {
    return server.getPort();
  }

  /** Tells load balancers whether to send calls here; a server that drains stays not ready. */
  public synchronized void setReady(boolean ready) {
    if (draining) {
      return;
    }
    health.setStatus(service, ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  }

  /**
   * Ends without dropping a call: not ready at once, still accepting for {@code lame} until load
   * balancers have noticed, then no new calls and up to {@code grace} for those under way.
   */
  public void drain(Duration lame, Duration grace) {
    synchronized (this) {
      setReady(false);
      draining = true;
    }
    try {
      TimeUnit.NANOSECONDS.sleep(lame.toNanos());
      server.shutdown();
      if (!server.awaitTermination(grace.toNanos(), TimeUnit.NANOSECONDS)) {
        log.warn("calls still under way after {} s were cut off", grace.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      close();
    }
  }

  /** Ends at once; calls under way are cut off. */
  @Override
  public void close() {
    server.shutdownNow();
    executor.shutdown();
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return String.valueOf(root.getMessage());
  }

  /**
   * Turns what a handler throws by mistake into INTERNAL for the caller and one entry in the log.
   */
  private static final class FaultBarrier implements ServerInterceptor {

    @Override
    public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
        ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
      return new SimpleForwardingServerCallListener<>(next.startCall(call, headers)) {
        @Override
        public void onHalfClose() {
          guarded(super::onHalfClose);
        }

        @Override
        public void onReady() {
          guarded(super::onReady);
        }

        private void guarded(Runnable event) {
          try {
            event.run();
          } catch (RuntimeException e) {
            log.error("{} failed", call.getMethodDescriptor().getFullMethodName(), e);
            call.close(Errors.internal().getStatus(), new Metadata());
          }
        }
      };
    }
  }
}
