package dev.dcgan.server;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * One request over HTTP, to be answered once, by {@link #send}, {@link #sendHeaders} or {@link
 * #text}. For one thread.
 */
public final class HttpCall {

  private static final int MOST_OF_A_LINE = 500;

  private final HttpExchange exchange;

  HttpCall(HttpExchange exchange) {
    this.exchange = exchange;
    // A browser must not guess that text is a page.
    header("X-Content-Type-Options", "nosniff");
  }

  HttpExchange exchange() {
    return exchange;
  }

  /** Without the query. */
  String path() {
    return exchange.getRequestURI().getPath();
  }

  /** What follows the question mark, as it was sent; empty: nothing. */
  public String query() {
    String query = exchange.getRequestURI().getRawQuery();
    return query == null ? "" : query;
  }

  String method() {
    return exchange.getRequestMethod();
  }

  /** Whether the headers are all that is asked for. */
  public boolean isHead() {
    return method().equals("HEAD");
  }

  /** The values of a request's header, one an occurrence. */
  public List<String> headers(String name) {
    List<String> values = exchange.getRequestHeaders().get(name);
    return values == null ? List.of() : values;
  }

  /** Stands for the connection of the request: equal for requests of one connection. */
  public Object connection() {
    return exchange.getRemoteAddress(); // With its port.
  }

  /** Sets a header of the answer. */
  public void header(String name, String value) {
    exchange.getResponseHeaders().set(name, value);
  }

  /** Answers; the body is left out where only the headers are asked for. */
  public void send(int code, byte[] body) throws IOException {
    send(code, body.length, out -> out.write(body));
  }

  /** Writes a body. */
  @FunctionalInterface
  public interface Body {
    void writeTo(OutputStream out) throws IOException;
  }

  /** {@link #send(int, byte[])} for a body of known length that need not be one array. */
  public void send(int code, int length, Body body) throws IOException {
    if (isHead()) {
      header("Content-Length", Integer.toString(length));
      sendHeaders(code);
      return;
    }
    exchange.sendResponseHeaders(code, length == 0 ? -1 : length);
    try (OutputStream out = exchange.getResponseBody()) {
      body.writeTo(out);
    }
  }

  /** Answers without a body: a 304, or a HEAD whose body would first have to be made. */
  public void sendHeaders(int code) throws IOException {
    exchange.sendResponseHeaders(code, -1);
  }

  /** Answers with a line that holds for this moment alone; may quote what the caller sent. */
  public void text(int code, String line) throws IOException {
    header("Cache-Control", "no-store");
    String cut =
        line.length() <= MOST_OF_A_LINE ? line : line.substring(0, MOST_OF_A_LINE) + " ...";
    String clean = cut.replaceAll("\\p{Cntrl}", "?");
    header("Content-Type", "text/plain; charset=utf-8");
    send(code, (clean + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** The status that was sent; -1: none yet. */
  int code() {
    return exchange.getResponseCode();
  }
}
