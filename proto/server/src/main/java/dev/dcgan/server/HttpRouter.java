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
 * Takes each request to the page of its path, counts it, and turns what a page throws by mistake
 * into a 500 for the caller and one entry in the log. Thread-safe.
 */
final class HttpRouter implements HttpHandler {

  private static final Logger log = LoggerFactory.getLogger(HttpRouter.class);
  private static final int LONGEST_QUERY = 2048;

  private record Route(HttpPage page, boolean slow) {}

  private final NavigableMap<String, Route> routes = new TreeMap<>();
  private final Semaphore slots;
  private final Counter requests;

  // Mutable state
  @GuardedBy("this") private int underWay;

  /**
   * The pages by path.
   *
   * @param quick never wait
   * @param slow may; of these at most {@code slots} requests are under way, more are refused
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
            .help("Requests over HTTP, by path and status code; code 0: no answer could be sent.")
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
      log.debug("the caller of {} went away", call.path(), e);
    } finally {
      // Anything may be asked for: only what is here gets a time series.
      String path = routes.containsKey(call.path()) ? call.path() : "other";
      requests.labelValues(path, Integer.toString(Math.max(0, call.code()))).inc();
      end();
    }
  }

  /** Waits until no request is under way; false if that took too long. */
  synchronized boolean awaitIdle(Duration limit) throws InterruptedException {
    long start = System.nanoTime();
    while (underWay > 0) {
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
      call.text(404, "nothing is here; there are " + String.join(", ", routes.keySet()));
    } else if (!call.method().equals("GET") && !call.isHead()) {
      call.header("Allow", "GET, HEAD");
      call.text(405, "expected GET or HEAD");
    } else if (call.query().length() > LONGEST_QUERY) {
      call.text(414, "a query of more than %d characters".formatted(LONGEST_QUERY));
    } else if (route.slow) {
      serveSlow(route.page, call);
    } else {
      route.page.serve(call);
    }
  }

  /** The slot is held until the caller has the answer: those who read slowly are bounded too. */
  private void serveSlow(HttpPage page, HttpCall call) throws IOException {
    if (!slots.tryAcquire()) {
      call.header("Retry-After", "1");
      call.text(503, "too many requests are under way here; try again later");
      return;
    }
    try {
      page.serve(call);
    } finally {
      slots.release();
    }
  }

  private synchronized void begin() {
    underWay++;
  }

  private synchronized void end() {
    underWay--;
    notifyAll();
  }
}
