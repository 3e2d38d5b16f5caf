package dev.dcgan.server;

import dev.dcgan.server.access.Caller;
import io.grpc.ForwardingServerCallListener;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.context.Context;
import java.net.SocketAddress;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.MDC;

/**
 * Adds to what is logged while a gRPC call or a request over HTTP is handled: {@code caller}, the
 * name of its token or certificate, or until that is known its address; {@code request_id}, the
 * metadata or header {@code x-request-id}, if it has one; {@code trace_id}, if it is traced.
 */
final class CallLog implements ServerInterceptor {

  static final String REQUEST_ID = "x-request-id";

  private static final Metadata.Key<String> REQUEST_ID_KEY =
      Metadata.Key.of(REQUEST_ID, Metadata.ASCII_STRING_MARSHALLER);
  private static final String CALLER = "caller";
  private static final int MAX_REQUEST_ID = 64;

  /** What is known of a call before its caller is. */
  static Map<String, String> known(
      @Nullable SocketAddress peer, @Nullable String requestId, Context trace) {
    Map<String, String> known = new HashMap<>();
    known.put(CALLER, String.valueOf(peer));
    if (requestId != null) {
      known.put(
          "request_id",
          ErrorMessages.printable(
              requestId.substring(0, Math.min(requestId.length(), MAX_REQUEST_ID))));
    }
    SpanContext span = Span.fromContext(trace).getSpanContext();
    if (span.isValid()) {
      known.put("trace_id", span.getTraceId());
    }
    return known;
  }

  /** Sets who makes the call that this thread is starting. */
  static void identify(Caller caller) {
    if (caller.authenticated()) {
      MDC.put(CALLER, caller.name());
    }
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    MDC.setContextMap(
        known(
            call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR),
            headers.get(REQUEST_ID_KEY),
            CallTrace.current()));
    try {
      ServerCall.Listener<Q> listener = next.startCall(call, headers);
      return new Logged<>(listener, MDC.getCopyOfContextMap()); // With the caller's name.
    } finally {
      MDC.clear();
    }
  }

  private static final class Logged<Q> extends ForwardingServerCallListener<Q> {

    private final ServerCall.Listener<Q> listener;
    private final Map<String, String> known;

    Logged(ServerCall.Listener<Q> listener, Map<String, String> known) {
      this.listener = listener;
      this.known = known;
    }

    @Override
    protected ServerCall.Listener<Q> delegate() {
      return listener;
    }

    @Override
    public void onMessage(Q message) {
      within(() -> listener.onMessage(message));
    }

    @Override
    public void onHalfClose() {
      within(listener::onHalfClose);
    }

    @Override
    public void onCancel() {
      within(listener::onCancel);
    }

    @Override
    public void onReady() {
      within(listener::onReady);
    }

    @Override
    public void onComplete() {
      within(listener::onComplete);
    }

    private void within(Runnable callback) {
      MDC.setContextMap(known);
      try {
        callback.run();
      } finally {
        MDC.clear();
      }
    }
  }
}
