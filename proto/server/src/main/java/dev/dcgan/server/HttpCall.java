package dev.dcgan.server;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * One HTTP request, which is answered once by {@link #send}, {@link #sendHeaders} or {@link #text}.
 * Not thread-safe.
 */
public final class HttpCall {

  private static final int MAX_LINE_LENGTH = 500;

  private final HttpExchange exchange;

  HttpCall(HttpExchange exchange) {
    this.exchange = exchange;
    // Prevents browsers from interpreting text as HTML.
    header("X-Content-Type-Options", "nosniff");
  }

  HttpExchange exchange() {
    return exchange;
  }

  /** The path without the query. */
  String path() {
    return exchange.getRequestURI().getPath();
  }

  /** The raw query, or empty if there is none. */
  public String query() {
    String query = exchange.getRequestURI().getRawQuery();
    return query == null ? "" : query;
  }

  String method() {
    return exchange.getRequestMethod();
  }

  /** Whether the request's method is HEAD. */
  public boolean isHead() {
    return method().equals("HEAD");
  }

  /** The values of a request header, one per occurrence. */
  public List<String> headers(String name) {
    List<String> values = exchange.getRequestHeaders().get(name);
    return values == null ? List.of() : values;
  }

  /** Stands for the connection of the request: equal for requests of one connection. */
  public Object connection() {
    return exchange.getRemoteAddress(); // With its port.
  }

  /** Sets a response header. */
  public void header(String name, String value) {
    exchange.getResponseHeaders().set(name, value);
  }

  /** Sends a response. For HEAD the body is omitted. */
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

  /** Sends a response without a body, for example 304, or for HEAD if the body is expensive. */
  public void sendHeaders(int code) throws IOException {
    exchange.sendResponseHeaders(code, -1);
  }

  /** Sends one line of text, which must not be cached. It may quote the request. */
  public void text(int code, String line) throws IOException {
    header("Cache-Control", "no-store");
    String cut =
        line.length() <= MAX_LINE_LENGTH ? line : line.substring(0, MAX_LINE_LENGTH) + " ...";
    String clean = cut.replaceAll("\\p{Cntrl}", "?");
    header("Content-Type", "text/plain; charset=utf-8");
    send(code, (clean + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** The status code that was sent, or -1 if none was. */
  int code() {
    return exchange.getResponseCode();
  }
}
