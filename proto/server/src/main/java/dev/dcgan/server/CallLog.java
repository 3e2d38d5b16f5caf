package dev.dcgan.server;

import io.grpc.ForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import java.util.HashMap;
import java.util.Map;
import org.slf4j.MDC;

/**
 * Adds to what is logged while a call is handled: {@code caller}, its address; {@code request_id},
 * the metadata {@code x-request-id}, if it has one; {@code trace_id}, if it is traced. For logs in
 * JSON only, because nothing else shows them.
 */
final class CallLog implements ServerInterceptor {

  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);
  private static final int MAX_REQUEST_ID = 64;

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    if (!LogOptions.isJson()) {
      return next.startCall(call, headers);
    }
    Map<String, String> known = new HashMap<>();
    known.put(
        "caller",
        String.valueOf(call.getAttributes().get(io.grpc.Grpc.TRANSPORT_ATTR_REMOTE_ADDR)));
    String id = headers.get(REQUEST_ID);
    if (id != null) {
      known.put("request_id", id.length() > MAX_REQUEST_ID ? id.substring(0, MAX_REQUEST_ID) : id);
    }
    SpanContext span = Span.fromContext(CallTrace.current()).getSpanContext();
    if (span.isValid()) {
      known.put("trace_id", span.getTraceId());
    }
    ServerCall.Listener<Q> listener;
    MDC.setContextMap(known);
    try {
      listener = next.startCall(call, headers);
    } finally {
      MDC.clear();
    }
    return new Logged<>(listener, known);
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
