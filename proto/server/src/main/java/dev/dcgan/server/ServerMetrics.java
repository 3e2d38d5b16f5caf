package dev.dcgan.server;

import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
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
 * Counts and times calls, by service, method and status code, under the names that the gRPC
 * ecosystem's dashboards know ({@code grpc_server_handled_total}, {@code
 * grpc_server_handling_seconds}).
 */
final class ServerMetrics implements ServerInterceptor {

  private final Counter handled;
  private final Histogram seconds;
  private final Gauge inFlight;
  // To look figures up by their labels for every call would cost more than to count.
  private final Map<String, MethodFigures> methods = new ConcurrentHashMap<>();

  ServerMetrics(PrometheusRegistry registry) {
    handled =
        Counter.builder()
            .name("grpc_server_handled_total")
            .help("Calls completed, by method and status code.")
            .labelNames("grpc_service", "grpc_method", "grpc_code")
            .register(registry);
    seconds =
        Histogram.builder()
            .name("grpc_server_handling_seconds")
            .help("Time from a call's arrival to its end, by method and status code.")
            .unit(Unit.SECONDS)
            .classicOnly()
            .classicUpperBounds(
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
            .labelNames("grpc_service", "grpc_method", "grpc_code")
            .register(registry);
    inFlight =
        Gauge.builder()
            .name("grpc_server_in_flight")
            .help("Calls that have arrived and not ended, by method.")
            .labelNames("grpc_service", "grpc_method")
            .register(registry);
  }

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    MethodDescriptor<?, ?> method = call.getMethodDescriptor();
    Timing timing =
        new Timing(
            methods.computeIfAbsent(method.getFullMethodName(), name -> new MethodFigures(method)));
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

  private static final class TimedListener<ReqT>
      extends io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener<ReqT> {

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
      timing.end(Status.Code.CANCELLED);
      super.onCancel();
    }
  }

  /** The figures of one method. Thread-safe. */
  private final class MethodFigures {

    private final String service;
    private final String method;
    private final GaugeDataPoint calls;
    private final Map<Status.Code, CodeFigures> codes = new ConcurrentHashMap<>();

    MethodFigures(MethodDescriptor<?, ?> descriptor) {
      service = String.valueOf(descriptor.getServiceName());
      method = String.valueOf(descriptor.getBareMethodName());
      calls = inFlight.labelValues(service, method);
    }

    void begin() {
      calls.inc();
    }

    void end(Status.Code code, long nanos) {
      calls.dec();
      CodeFigures figures =
          codes.computeIfAbsent(
              code,
              ended ->
                  new CodeFigures(
                      handled.labelValues(service, method, ended.name()),
                      seconds.labelValues(service, method, ended.name())));
      figures.handled.inc();
      figures.seconds.observe(Unit.nanosToSeconds(nanos));
    }
  }

  private record CodeFigures(CounterDataPoint handled, DistributionDataPoint seconds) {}

  private static final class Timing {

    private final MethodFigures method;
    private final long start = System.nanoTime();

    // Written by whichever thread closes the call, before gRPC reports its end.
    private volatile Status.Code code = Status.Code.UNKNOWN;

    Timing(MethodFigures method) {
      this.method = method;
      method.begin();
    }

    void end(Status.Code ended) {
      method.end(ended, System.nanoTime() - start);
    }
  }
}
