package dev.dcgan.server;

import io.grpc.Context;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.prometheus.metrics.core.datapoints.CounterDataPoint;
import io.prometheus.metrics.core.datapoints.DistributionDataPoint;
import io.prometheus.metrics.core.datapoints.GaugeDataPoint;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Counts and times calls, with the metric and label names of go-grpc-prometheus, which existing
 * dashboards expect.
 *
 * <pre>
 *   grpc_server_started_total     counter    grpc_type, grpc_service, grpc_method
 *   grpc_server_handled_total     counter    grpc_type, grpc_service, grpc_method, grpc_code
 *   grpc_server_handling_seconds  histogram  grpc_type, grpc_service, grpc_method
 *   grpc_server_in_flight         gauge      grpc_type, grpc_service, grpc_method; our addition
 * </pre>
 */
final class ServerMetrics implements ServerInterceptor {

  private final Counter started;
  private final Counter handled;
  private final Histogram seconds;
  private final Gauge inFlight;
  // Looking up metrics by their labels on every call would cost more than counting does.
  private final Map<String, MethodMetrics> methods = new ConcurrentHashMap<>();

  ServerMetrics(PrometheusRegistry registry) {
    started =
        Counter.builder()
            .name("grpc_server_started_total")
            .help("RPCs started on the server.")
            .labelNames("grpc_type", "grpc_service", "grpc_method")
            .register(registry);
    handled =
        Counter.builder()
            .name("grpc_server_handled_total")
            .help("RPCs completed on the server, by status code.")
            .labelNames("grpc_type", "grpc_service", "grpc_method", "grpc_code")
            .register(registry);
    seconds =
        Histogram.builder()
            .name("grpc_server_handling_seconds")
            .help("Time from an RPC's start to its completion, in seconds.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
            .labelNames("grpc_type", "grpc_service", "grpc_method")
            .register(registry);
    inFlight =
        Gauge.builder()
            .name("grpc_server_in_flight")
            .help("RPCs that have started and not completed.")
            .labelNames("grpc_type", "grpc_service", "grpc_method")
            .register(registry);
  }

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    MethodDescriptor<?, ?> method = call.getMethodDescriptor();
    Timing timing =
        new Timing(
            methods.computeIfAbsent(method.getFullMethodName(), name -> new MethodMetrics(method)));
    ServerCall<ReqT, RespT> timed =
        new SimpleForwardingServerCall<>(call) {
          @Override
          public void close(Status status, Metadata trailers) {
            timing.code = status.getCode();
            super.close(status, trailers);
          }
        };
    return new TimedListener<>(next.startCall(timed, headers), timing);
  }

  private static final class TimedListener<ReqT> extends SimpleForwardingServerCallListener<ReqT> {

    private final Timing timing;

    TimedListener(ServerCall.Listener<ReqT> delegate, Timing timing) {
      super(delegate);
      this.timing = timing;
    }

    // gRPC ends every call with exactly one of these two.
    @Override
    public void onComplete() {
      timing.end(timing.code);
      super.onComplete();
    }

    @Override
    public void onCancel() {
      timing.end(InvalidRequests.cancellation(Context.current()));
      super.onCancel();
    }
  }

  /** The metrics of one method. Thread-safe. */
  private final class MethodMetrics {

    private final String[] labels;
    private final CounterDataPoint starts;
    private final GaugeDataPoint calls;
    private final DistributionDataPoint durations;
    private final Map<Status.Code, CounterDataPoint> codes = new ConcurrentHashMap<>();

    MethodMetrics(MethodDescriptor<?, ?> method) {
      labels =
          new String[] {
            type(method.getType()),
            String.valueOf(method.getServiceName()),
            String.valueOf(method.getBareMethodName())
          };
      starts = started.labelValues(labels);
      calls = inFlight.labelValues(labels);
      durations = seconds.labelValues(labels);
    }

    void begin() {
      starts.inc();
      calls.inc();
    }

    void end(Status.Code code, long nanos) {
      calls.dec();
      codes
          .computeIfAbsent(
              code, ended -> handled.labelValues(labels[0], labels[1], labels[2], ended.name()))
          .inc();
      durations.observe(Unit.nanosToSeconds(nanos));
    }
  }

  private static String type(MethodDescriptor.MethodType type) {
    return switch (type) {
      case CLIENT_STREAMING -> "client_stream";
      case SERVER_STREAMING -> "server_stream";
      case BIDI_STREAMING -> "bidi_stream";
      case UNARY, UNKNOWN -> "unary";
    };
  }

  /** One call under way. */
  private static final class Timing {

    private final MethodMetrics method;
    private final long start = System.nanoTime();

    // Written by whichever thread closes the call, before gRPC reports its end.
    private volatile Status.Code code = Status.Code.UNKNOWN;

    Timing(MethodMetrics method) {
      this.method = method;
      method.begin();
    }

    void end(Status.Code ended) {
      method.end(ended, System.nanoTime() - start);
    }
  }
}
