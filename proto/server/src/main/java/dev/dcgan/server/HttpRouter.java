package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.access.AccessRules;
import dev.dcgan.server.access.Role;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;

/**
 * Routes each request to the page of its path, counts it, and converts an unexpected exception of a
 * page into a 500 and one log entry. Thread-safe.
 */
final class HttpRouter {

  /** A path that there must be. Its threads also answer requests that no page is for. */
  static final String METRICS = "/metrics";

  private static final Logger log = LoggerFactory.getLogger(HttpRouter.class);
  private static final int MAX_QUERY_LENGTH = 2048;
  private static final String METHODS = "GET, HEAD, OPTIONS";
  private static final String ALL_BELOW = "*";

  /**
   * Where a path leads.
   *
   * @param queue runs the page
   * @param cors lets other web sites' scripts read the page; null: they cannot
   */
  record Route(HttpPage page, RequestQueue queue, @Nullable CorsPolicy cors) {}

  private final NavigableMap<String, Route> routes;
  private final String expected;
  private final RequestQueue refusals;
  private final Set<RequestQueue> queues;
  private final Duration maxWait;
  private final AccessControl access;
  private final Counter requests;

  // Mutable state
  @GuardedBy("this") private int inFlight;

  /**
   * Creates a router.
   *
   * @param routes by path; {@code /a/*} is for all paths below {@code /a/} that have no route
   * @param maxWait the time that a request may wait in its queue
   * @param access who may make which request
   * @param requests see {@link #counter}
   */
  HttpRouter(Map<String, Route> routes, Duration maxWait, AccessControl access, Counter requests) {
    this.routes = new TreeMap<>(routes);
    this.requests = requests;
    this.access = access;
    routes.forEach((path, route) -> access.requireRules(path, route.page));
    // Without the files of the page at /.
    expected =
        routes.keySet().stream()
            .filter(path -> path.indexOf('.') < 0)
            .collect(Collectors.joining(", "));
    this.maxWait = maxWait;
    queues = routes.values().stream().map(Route::queue).collect(Collectors.toSet());
    refusals = Objects.requireNonNull(this.routes.get(METRICS)).queue;
  }

  /** Counts the requests of all routers of an endpoint. */
  static Counter counter(PrometheusRegistry registry) {
    return Counter.builder()
        .name("http_server_requests_total")
        .help("HTTP requests by path and status code. Code 0: no response could be sent.")
        .labelNames("path", "code")
        .register(registry);
  }

  /**
   * Answers a request on another thread.
   *
   * @param done runs when the request is complete
   */
  void accept(HttpCall call, Runnable done) {
    begin();
    String key = key(call.path());
    Route route = routes.get(key);
    call.beginTrace(route == null ? null : key);
    RequestQueue queue = route == null ? refusals : route.queue;
    String address = call.connection().address();
    Runnable task = () -> handle(call, () -> respond(route, call), done);
    // A client that is gone frees its place in the queue. Pages replace this while they run.
    call.onDisconnect(
        () -> {
          if (queue.remove(address, task)) {
            handle(call, call::abort, done);
          }
        });
    try {
      queue.execute(address, task);
    } catch (RejectedExecutionException e) {
      // Responding from the event loop does not wait for the client.
      handle(call, () -> busy(call), done);
    }
  }

  /** The largest body that a request may have; 0: bodies have no meaning. */
  int maxBody(HttpRequest request) {
    Route route = routes.get(key(HttpCall.path(request)));
    return route == null || !request.method().equals(HttpMethod.POST) ? 0 : route.page.maxBody();
  }

  /** The path of the route; {@code other}, which has no route, if there is none. */
  private String key(String path) {
    if (routes.containsKey(path)) {
      return path;
    }
    for (int slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      String all = path.substring(0, slash + 1) + ALL_BELOW;
      if (routes.containsKey(all)) {
        return all;
      }
    }
    return "other";
  }

  /** Waits until no request is in flight. Returns false if that exceeds the limit. */
  synchronized boolean awaitIdle(Duration limit) throws InterruptedException {
    long start = System.nanoTime();
    while (inFlight > 0) {
      long left = limit.toNanos() - (System.nanoTime() - start);
      if (left <= 0) {
        return false;
      }
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
    return true;
  }

  /** Interrupts the pages. */
  void stop() {
    queues.forEach(RequestQueue::stop);
  }

  @FunctionalInterface
  private interface Answer {
    void send() throws IOException;
  }

  private void handle(HttpCall call, Answer answer, Runnable done) {
    MDC.setContextMap(call.known());
    try {
      guarded(call, answer);
    } catch (IOException e) {
      log.debug("the client of {} disconnected", ErrorMessages.printable(call.path()), e);
      call.abort();
    } finally {
      MDC.clear();
      // Only known paths get a time series, because clients may request any path.
      requests.labelValues(key(call.path()), Integer.toString(Math.max(0, call.code()))).inc();
      if (call.isStreaming()) {
        call.whenClosed(() -> end(call));
      } else {
        call.whenSent(
            () -> {
              end(call);
              done.run();
            });
      }
    }
  }

  private void guarded(HttpCall call, Answer answer) throws IOException {
    try {
      answer.send();
    } catch (RuntimeException | Error e) {
      log.error("{} failed", ErrorMessages.printable(call.path()), e);
      if (call.code() < 0) {
        call.text(500, "internal error; the server's log has the cause");
      } else if (call.isStreaming()) {
        call.abort();
      }
    }
    if (call.code() < 0) {
      call.abort();
    }
  }

  private void respond(@Nullable Route route, HttpCall call) throws IOException {
    HttpCall.Malformed malformed = call.malformed();
    if (malformed != null) {
      call.text(malformed.code(), malformed.line());
    } else if (route == null) {
      call.text(404, "no such page; expected one of " + expected);
    } else {
      if (route.cors != null) {
        route.cors.apply(call);
      }
      boolean posts = route.page.maxBody() > 0;
      String methods = posts ? METHODS + ", POST" : METHODS;
      if (call.method().equals("OPTIONS")) {
        call.header("Allow", methods);
        call.sendHeaders(204);
      } else if (!call.method().equals("GET") && !call.isHead() && !(posts && call.isPost())) {
        call.header("Allow", methods);
        call.text(405, "expected one of " + methods);
      } else if (call.query().length() > MAX_QUERY_LENGTH) {
        call.text(
            414,
            "the query is too long; expected at most %d characters".formatted(MAX_QUERY_LENGTH));
      } else if (!call.isConnected()) {
        call.abort();
      } else if (call.age().compareTo(maxWait) > 0) {
        busy(call);
      } else {
        admitAndServe(route.page, call);
      }
    }
  }

  private void admitAndServe(HttpPage page, HttpCall call) throws IOException {
    Set<Role> needed = AccessRules.path(call.isPost(), call.path()).orElse(Set.of(Role.ADMIN));
    AccessControl.Admission admission;
    try {
      admission = access.admit(call.access(needed));
    } catch (StatusRuntimeException e) {
      String line = String.valueOf(e.getStatus().getDescription());
      switch (e.getStatus().getCode()) {
        case UNAUTHENTICATED -> {
          // Makes a browser ask for a name, which may be any, and a password: the token.
          call.header("WWW-Authenticate", "Basic realm=\"dcgan token\", charset=\"UTF-8\"");
          call.text(401, line);
        }
        case PERMISSION_DENIED -> call.text(403, line);
        default -> {
          call.header("Retry-After", "1");
          call.text(429, line);
        }
      }
      return;
    }
    call.setCaller(admission.caller());
    CallLog.identify(admission.caller());
    Context context =
        CallTrace.with(
            AccessControl.contextOf(admission.caller(), call.connection()), call.trace());
    Context before = context.attach();
    try {
      page.serve(call);
    } finally {
      context.detach(before);
      if (call.isStreaming()) {
        call.whenClosed(admission::close);
      } else {
        admission.close();
      }
    }
  }

  private static void busy(HttpCall call) throws IOException {
    call.header("Retry-After", "1");
    call.text(503, "too many concurrent requests; try again later");
  }

  private synchronized void begin() {
    inFlight++;
  }

  private void end(HttpCall call) {
    HttpTrace.end(call.trace(), call.code());
    synchronized (this) {
      inFlight--;
      notifyAll();
    }
  }
}
