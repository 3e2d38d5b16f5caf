package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Routes each request to the page of its path, counts it, and converts an unexpected exception of a
 * page into a 500 and one log entry. Thread-safe.
 */
final class HttpRouter implements HttpHandler {

  private static final Logger log = LoggerFactory.getLogger(HttpRouter.class);
  private static final int MAX_QUERY_LENGTH = 2048;

  private record Route(HttpPage page, boolean slow) {}

  private final NavigableMap<String, Route> routes = new TreeMap<>();
  private final Semaphore slots;
  private final Counter requests;

  // Mutable state
  @GuardedBy("this") private int inFlight;

  /**
   * Creates a router.
   *
   * @param quick pages by path that never block
   * @param slow pages by path that may block; at most {@code slots} requests for them run
   *     concurrently, more are refused
   */
  HttpRouter(
      Map<String, HttpPage> quick,
      Map<String, HttpPage> slow,
      int slots,
      PrometheusRegistry registry) {
    quick.forEach((path, page) -> routes.put(path, new Route(page, false)));
    slow.forEach((path, page) -> routes.put(path, new Route(page, true)));
    this.slots = new Semaphore(slots);
    requests =
        Counter.builder()
            .name("http_server_requests_total")
            .help("HTTP requests by path and status code. Code 0: no response could be sent.")
            .labelNames("path", "code")
            .register(registry);
  }

  @Override
  public void handle(HttpExchange exchange) {
    begin();
    HttpCall call = new HttpCall(exchange);
    try (exchange) {
      guarded(call);
    } catch (IOException e) {
      log.debug("the client of {} disconnected", call.path(), e);
    } finally {
      // Only known paths get a time series, because clients may request any path.
      String path = routes.containsKey(call.path()) ? call.path() : "other";
      requests.labelValues(path, Integer.toString(Math.max(0, call.code()))).inc();
      end();
    }
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

  private void guarded(HttpCall call) throws IOException {
    try {
      route(call);
    } catch (RuntimeException | Error e) {
      log.error("{} failed", call.path(), e);
      if (call.code() < 0) {
        call.text(500, "internal error; the server's log has the cause");
      }
    }
  }

  private void route(HttpCall call) throws IOException {
    Route route = routes.get(call.path());
    if (route == null) {
      call.text(404, "no such page; expected one of " + String.join(", ", routes.keySet()));
    } else if (!call.method().equals("GET") && !call.isHead()) {
      call.header("Allow", "GET, HEAD");
      call.text(405, "expected GET or HEAD");
    } else if (call.query().length() > MAX_QUERY_LENGTH) {
      call.text(
          414, "the query is too long; expected at most %d characters".formatted(MAX_QUERY_LENGTH));
    } else if (route.slow) {
      serveSlow(route.page, call);
    } else {
      route.page.serve(call);
    }
  }

  /** The slot is held until the response is sent, which limits slow readers too. */
  private void serveSlow(HttpPage page, HttpCall call) throws IOException {
    if (!slots.tryAcquire()) {
      call.header("Retry-After", "1");
      call.text(503, "too many concurrent requests; try again later");
      return;
    }
    try {
      page.serve(call);
    } finally {
      slots.release();
    }
  }

  private synchronized void begin() {
    inFlight++;
  }

  private synchronized void end() {
    inFlight--;
    notifyAll();
  }
}
