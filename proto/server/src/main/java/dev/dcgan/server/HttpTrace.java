package dev.dcgan.server;

import io.netty.handler.codec.http.HttpHeaders;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanBuilder;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The span of an HTTP request, below the caller's if it has the header {@code traceparent} (W3C
 * Trace Context). It names the route; of the path, the query and the headers it has nothing.
 */
final class HttpTrace {

  // Probes and scrapes, which are frequent and not interesting.
  private static final Set<String> UNTRACED = Set.of("/healthz", "/readyz", "/metrics");
  private static final Set<String> METHODS =
      Set.of("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE");

  private HttpTrace() {}

  /**
   * Begins the span of a request.
   *
   * @param route the path that was registered, such as {@code /v1/runs/*}; null: there is none
   * @return the context of the span; the root if the request is not traced
   */
  static Context begin(String method, @Nullable String route, HttpHeaders headers) {
    if (!Tracing.isOn() || (route != null && UNTRACED.contains(route))) {
      return Context.root();
    }
    // A client may send any text as its method.
    String known = METHODS.contains(method) ? method : "_OTHER";
    Context caller = CallTrace.parent(headers, new Headers());
    SpanBuilder span =
        Tracing.tracer()
            .spanBuilder(route == null ? known : known + " " + route)
            .setParent(caller)
            .setSpanKind(SpanKind.SERVER)
            .setAttribute("http.request.method", known);
    if (route != null) {
      span.setAttribute("http.route", route);
    }
    return caller.with(span.startSpan());
  }

  /**
   * Ends the span of a request, when its response is complete.
   *
   * @param code the status code; negative: none was sent
   */
  static void end(Context context, int code) {
    Span span = Span.fromContext(context);
    if (code >= 0) {
      span.setAttribute("http.response.status_code", code);
    }
    if (code >= 500) {
      span.setStatus(StatusCode.ERROR);
    }
    span.end();
  }

  private static final class Headers implements TextMapGetter<HttpHeaders> {

    @Override
    public @Nullable String get(@Nullable HttpHeaders headers, String key) {
      return headers == null ? null : headers.get(key);
    }
  }
}
