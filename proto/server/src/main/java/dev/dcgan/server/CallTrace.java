package dev.dcgan.server;

import io.grpc.Contexts;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import org.jspecify.annotations.Nullable;

/**
 * The trace context of a gRPC call, or of a request over HTTP while its page serves it; see {@link
 * HttpTrace}. The span of a gRPC call is below the caller's if its metadata has a {@code
 * traceparent} (W3C Trace Context).
 */
public final class CallTrace {

  private static final io.grpc.Context.Key<Context> CURRENT =
      io.grpc.Context.keyWithDefault("trace", Context.root());

  private CallTrace() {}

  /** The trace context of the current call; the root if it is not traced. */
  public static Context current() {
    return CURRENT.get();
  }

  /** A gRPC context whose trace context is the given one. */
  static io.grpc.Context with(io.grpc.Context context, Context trace) {
    return context.withValue(CURRENT, trace);
  }

  /** The trace context in the headers of a caller; without one, the root context. */
  static <T> Context parent(T headers, TextMapGetter<T> getter) {
    return GlobalOpenTelemetry.getPropagators()
        .getTextMapPropagator()
        .extract(Context.root(), headers, getter);
  }

  /** Makes a span of each call of a service of ours; not of health checks and reflection. */
  static final class Interceptor implements ServerInterceptor {

    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      String method = call.getMethodDescriptor().getFullMethodName();
      if (!Tracing.isOn() || method.startsWith("grpc.")) {
        return next.startCall(call, headers);
      }
      Context caller = parent(headers, new Headers());
      Span span =
          Tracing.tracer()
              .spanBuilder(method)
              .setParent(caller)
              .setSpanKind(SpanKind.SERVER)
              .setAttribute("rpc.system", "grpc")
              .setAttribute(
                  "rpc.service", String.valueOf(call.getMethodDescriptor().getServiceName()))
              .setAttribute(
                  "rpc.method", String.valueOf(call.getMethodDescriptor().getBareMethodName()))
              .startSpan();
      ServerCall<Q, A> traced =
          new SimpleForwardingServerCall<>(call) {
            @Override
            public void close(Status status, Metadata trailers) {
              describe(span, status);
              super.close(status, trailers);
            }
          };
      return new SimpleForwardingServerCallListener<>(
          Contexts.interceptCall(
              with(io.grpc.Context.current(), caller.with(span)), traced, headers, next)) {
        @Override
        public void onComplete() {
          span.end();
          super.onComplete();
        }

        @Override
        public void onCancel() {
          describe(span, Status.CANCELLED);
          span.end();
          super.onCancel();
        }
      };
    }

    private static void describe(Span span, Status status) {
      span.setAttribute("rpc.grpc.status_code", status.getCode().value());
      if (!status.isOk()) {
        span.setStatus(StatusCode.ERROR, status.getCode().name());
      }
    }
  }

  private static final class Headers implements TextMapGetter<Metadata> {

    @Override
    public @Nullable String get(@Nullable Metadata headers, String key) {
      return headers == null || key.endsWith(Metadata.BINARY_HEADER_SUFFIX)
          ? null
          : headers.get(Metadata.Key.of(key, Metadata.ASCII_STRING_MARSHALLER));
    }
  }
}
