package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.access.Caller;
import dev.dcgan.server.access.Role;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufOutputStream;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.DefaultFileRegion;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.EmptyHttpHeaders;
import io.netty.handler.codec.http.HttpChunkedInput;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.stream.ChunkedNioFile;
import io.netty.util.concurrent.ScheduledFuture;
import io.opentelemetry.context.Context;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP request, which is answered once by {@link #send}, {@link #sendHeaders}, {@link #text},
 * {@link #sendFile} or {@link #openEvents}. Not thread-safe.
 */
public final class HttpCall {

  private static final int MAX_LINE_LENGTH = 500;
  private static final String BASIC = "Basic ";
  private static final String PUBLIC = "public";
  // Smaller responses wait for the client outside the slots for pages.
  private static final int SMALL_BODY_BYTES = 256 << 10;
  private static final int CHUNK_BYTES = 64 << 10;
  private static final Duration MAX_FILE_SEND_TIME = Duration.ofMinutes(30);

  // The time to read a response is waited for in parts, one after the other. So if this process is
  // suspended, by a container's freezer or SIGSTOP, all of that time counts as one part at most.
  private static final int PARTS_OF_TIME = 30;

  private final Channel channel;
  private final HttpRequest request;
  private final byte[] body;
  private final int maxBody;
  private final boolean keepAlive;
  private final HttpEventStream.Limits streams;
  private final ReadTime readTime;
  private final Runnable onSending;
  private final HttpHeaders headers = new DefaultHttpHeaders();
  private final long received = System.nanoTime();

  // Mutable state
  private int code = -1;
  private Caller caller = Caller.anonymous("");
  private Context trace = Context.root();
  private boolean streaming;
  private @Nullable ChannelFuture sending;

  @GuardedBy("this") private boolean disconnected;

  @GuardedBy("this") private @Nullable Runnable onDisconnect;

  /**
   * A request.
   *
   * @param body empty unless the page accepts one; its beginning, if it is too large
   * @param maxBody the largest body that is served
   * @param keepAlive whether the connection serves another request after this one
   * @param onSending runs, on any thread, when nothing but the client delays the end of the request
   */
  HttpCall(
      Channel channel,
      HttpRequest request,
      byte[] body,
      int maxBody,
      boolean keepAlive,
      HttpEventStream.Limits streams,
      ReadTime readTime,
      Runnable onSending) {
    this.channel = channel;
    this.request = request;
    this.body = body;
    this.maxBody = maxBody;
    this.keepAlive = keepAlive;
    this.streams = streams;
    this.readTime = readTime;
    this.onSending = onSending;
    // Prevents browsers from interpreting text as HTML.
    header("X-Content-Type-Options", "nosniff");
  }

  /** The path as it was sent, with its escapes, without the query. */
  public String path() {
    return path(request);
  }

  static String path(HttpRequest request) {
    String target = target(request);
    int query = target.indexOf('?');
    return query < 0 ? target : target.substring(0, query);
  }

  /** The raw query, or empty if there is none. */
  public String query() {
    String target = target(request);
    int query = target.indexOf('?');
    return query < 0 ? "" : target.substring(query + 1);
  }

  /** The origin form; some proxies send {@code http://host/path} (RFC 9112, 3.2.2). */
  private static String target(HttpRequest request) {
    String uri = request.uri();
    if (uri.startsWith("http://") || uri.startsWith("https://")) {
      int path = uri.indexOf('/', uri.indexOf("//") + 2);
      return path < 0 ? "/" : uri.substring(path);
    }
    return uri;
  }

  String method() {
    return request.method().name();
  }

  /** Whether the request's method is POST. */
  public boolean isPost() {
    return method().equals("POST");
  }

  /** The body of a POST request. */
  public byte[] body() {
    return body.clone();
  }

  /** Whether the request's method is HEAD. */
  public boolean isHead() {
    return method().equals("HEAD");
  }

  /** The values of a request header, one per occurrence. */
  public List<String> headers(String name) {
    return request.headers().getAll(name);
  }

  /** Begins the span of the request, if it is traced. */
  void beginTrace(@Nullable String route) {
    trace = HttpTrace.begin(method(), route, request.headers());
  }

  /** The trace context of the request; the root if it is not traced. */
  Context trace() {
    return trace;
  }

  /** Set by the router, before the page is asked. */
  void setCaller(Caller caller) {
    this.caller = caller;
  }

  /** What is known of the caller. */
  AccessControl.Request access(Set<Role> needed) {
    SslHandler tls = channel.pipeline().get(SslHandler.class);
    return new AccessControl.Request(
        "http",
        ErrorMessages.printable(method() + " " + path()),
        needed,
        token(),
        AccessControl.certificate(tls == null ? null : tls.engine().getSession()),
        channel.remoteAddress());
  }

  /** What is known of the request, for logs. */
  Map<String, String> known() {
    return CallLog.known(channel.remoteAddress(), request.headers().get(CallLog.REQUEST_ID), trace);
  }

  /** The token: a bearer token, or the password that a browser has asked for (Basic). */
  private @Nullable String token() {
    String header = request.headers().get(HttpHeaderNames.AUTHORIZATION);
    if (header == null || !header.regionMatches(true, 0, BASIC, 0, BASIC.length())) {
      return header == null ? null : AccessControl.bearer(header);
    }
    try {
      byte[] decoded = Base64.getDecoder().decode(header.substring(BASIC.length()).strip());
      String credentials = new String(decoded, StandardCharsets.UTF_8);
      return credentials.substring(credentials.indexOf(':') + 1);
    } catch (IllegalArgumentException e) {
      return ""; // Which is no valid token.
    }
  }

  /** The connection of the request. */
  public ClientConnection connection() {
    return ClientConnection.of(channel.id(), channel.remoteAddress());
  }

  /** Why the request is no valid HTTP, as status code and line; null if it is valid. */
  @Nullable Malformed malformed() {
    if (body.length > maxBody) {
      return new Malformed(
          413, "the body is too large; expected at most %d bytes".formatted(maxBody));
    }
    Throwable cause = request.decoderResult().cause();
    if (cause == null) {
      return null;
    }
    if (cause instanceof TooLongHttpLineException) {
      return new Malformed(414, "the request line is too long");
    }
    if (cause instanceof TooLongHttpHeaderException) {
      return new Malformed(431, "the headers are too long");
    }
    return new Malformed(400, "cannot parse the request: expected HTTP/1.1");
  }

  record Malformed(int code, String line) {}

  /** Whether the client is still connected. */
  public boolean isConnected() {
    return channel.isActive();
  }

  /**
   * Sets what runs when the client disconnects, on any thread; it must not block. It replaces what
   * was set before, and runs now if that has happened.
   */
  public void onDisconnect(Runnable action) {
    synchronized (this) {
      onDisconnect = action;
      if (!disconnected) {
        return;
      }
    }
    action.run();
  }

  /** The connection was closed. */
  void disconnected() {
    Runnable action;
    synchronized (this) {
      disconnected = true;
      action = onDisconnect;
    }
    if (action != null) {
      action.run();
    }
  }

  /** The time since the request was received. */
  Duration age() {
    return Duration.ofNanos(System.nanoTime() - received);
  }

  /** Sets a response header. */
  public void header(String name, String value) {
    headers.set(name, value);
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
    header("Content-Length", Integer.toString(length));
    if (isHead()) {
      sendHeaders(code);
      return;
    }
    write(code, buffer(length, body));
  }

  /**
   * Sends a body without waiting for the client, who must read it within {@link ReadTime}.
   *
   * @param sent runs once, on any thread, when the client has the body or is disconnected; also if
   *     this method throws
   */
  public void send(int code, int length, Body body, Runnable sent) throws IOException {
    header("Content-Length", Integer.toString(length));
    if (isHead()) {
      sent.run();
      sendHeaders(code);
      return;
    }
    ByteBuf buffer;
    try {
      buffer = buffer(length, body);
    } catch (IOException | RuntimeException | Error e) {
      sent.run();
      throw e;
    }
    ChannelFuture written = begin(code, buffer);
    sending = written;
    onSending.run();
    ScheduledFuture<?> timeout = abortAfter(readTime.of(length));
    var unused =
        written.addListener(
            done -> {
              timeout.cancel(false);
              sent.run();
            });
  }

  private ScheduledFuture<?> abortAfter(Duration limit) {
    AtomicInteger parts = new AtomicInteger(PARTS_OF_TIME);
    Runnable passPart =
        () -> {
          if (parts.decrementAndGet() == 0) {
            abort();
          }
        };
    long part = limit.toNanos() / PARTS_OF_TIME;
    return channel.eventLoop().scheduleWithFixedDelay(passPart, part, part, TimeUnit.NANOSECONDS);
  }

  private ByteBuf buffer(int length, Body body) throws IOException {
    ByteBuf buffer = channel.alloc().buffer(length);
    try (OutputStream out = new ByteBufOutputStream(buffer)) {
      body.writeTo(out);
    } catch (IOException | RuntimeException | Error e) {
      buffer.release();
      throw e;
    }
    return buffer;
  }

  /** Sends a response without a body, for example 304, or for HEAD if the body is expensive. */
  public void sendHeaders(int code) throws IOException {
    write(code, channel.alloc().buffer(0));
  }

  /** Sends a file as it is now, however large, and waits until the client has it. */
  public void sendFile(Path file) throws IOException {
    FileChannel content = FileChannel.open(file); // Closed when it is sent.
    long size = content.size();
    header("Content-Length", Long.toString(size));
    if (isHead()) {
      content.close();
      sendHeaders(200);
      return;
    }
    begin(200);
    var unused =
        channel.write(
            new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK, headers));
    ChannelFuture written;
    if (channel.pipeline().get(SslHandler.class) == null) {
      var unusedToo = channel.write(new DefaultFileRegion(content, 0, size));
      written = channel.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT);
    } else { // The kernel cannot encrypt what it sends.
      ChunkedNioFile chunks = new ChunkedNioFile(content, 0, size, CHUNK_BYTES);
      written = channel.writeAndFlush(new HttpChunkedInput(chunks));
    }
    closeAfter(written);
    await(written, MAX_FILE_SEND_TIME);
  }

  /**
   * Answers with server-sent events, which go on when the page has returned.
   *
   * @return empty if there are too many streams already; the client has got an error then
   */
  public Optional<HttpEventStream> openEvents() throws IOException {
    String address = connection().address();
    if (!streams.places().tryTake(address)) {
      header("Retry-After", "10");
      text(503, "too many viewers; try again later");
      return Optional.empty();
    }
    header("Content-Type", "text/event-stream; charset=utf-8");
    header("Cache-Control", "no-store");
    header("X-Accel-Buffering", "no"); // Proxies must not wait for the end of the response.
    begin(200);
    headers.set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
    DefaultHttpResponse response =
        new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK, headers);
    HttpUtil.setTransferEncodingChunked(
        response, request.protocolVersion().isKeepAliveDefault()); // Not in HTTP/1.0.
    streaming = true;
    return Optional.of(HttpEventStream.open(channel, address, response, streams));
  }

  /** Whether the response goes on until the connection is closed. */
  boolean isStreaming() {
    return streaming;
  }

  /** Runs when the response was sent, on any thread; now if sending has waited for that. */
  void whenSent(Runnable action) {
    if (sending == null) {
      action.run();
    } else {
      var unused = sending.addListener(sent -> action.run());
    }
  }

  /** Runs when the connection is closed. */
  void whenClosed(Runnable action) {
    var unused = channel.closeFuture().addListener(closed -> action.run());
  }

  private void begin(int code) {
    header("Date", DateTimeFormatter.RFC_1123_DATE_TIME.format(ZonedDateTime.now(ZoneOffset.UTC)));
    String caching = headers.get(HttpHeaderNames.CACHE_CONTROL);
    if (caller.authenticated() && caching != null && caching.startsWith(PUBLIC)) {
      // A shared cache would give it to callers without a credential.
      header("Cache-Control", "private" + caching.substring(PUBLIC.length()));
    }
    HttpUtil.setKeepAlive(headers, request.protocolVersion(), keepAlive);
    this.code = code;
  }

  private void closeAfter(ChannelFuture written) {
    if (!keepAlive) {
      var unused = written.addListener(ChannelFutureListener.CLOSE);
    }
  }

  /** Waits until the client has a large response, so that slow readers keep their slot. */
  private void write(int code, ByteBuf body) throws IOException {
    int length = body.readableBytes();
    ChannelFuture written = begin(code, body);
    if (length > SMALL_BODY_BYTES) {
      await(written, readTime.of(length));
    }
  }

  private ChannelFuture begin(int code, ByteBuf body) {
    DefaultFullHttpResponse response =
        new DefaultFullHttpResponse(
            HttpVersion.HTTP_1_1,
            HttpResponseStatus.valueOf(code),
            body,
            headers,
            EmptyHttpHeaders.INSTANCE);
    if (code != 204 && code != 304 && !isHead() && !headers.contains("Content-Length")) {
      headers.set(HttpHeaderNames.CONTENT_LENGTH, 0);
    }
    begin(code);
    ChannelFuture written = channel.writeAndFlush(response);
    closeAfter(written);
    return written;
  }

  private void await(ChannelFuture written, Duration limit) throws IOException {
    try {
      long part = limit.toNanos() / PARTS_OF_TIME;
      for (int parts = 0; !written.await(part, TimeUnit.NANOSECONDS); parts++) {
        if (parts == PARTS_OF_TIME - 1) {
          abort();
          throw new IOException("the response was not read in time");
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    Throwable failure = written.cause();
    if (failure != null) {
      throw new IOException(failure);
    }
  }

  /** Sends one line of text, which must not be cached. It may quote the request. */
  public void text(int code, String line) throws IOException {
    header("Cache-Control", "no-store");
    String cut =
        line.length() <= MAX_LINE_LENGTH ? line : line.substring(0, MAX_LINE_LENGTH) + " ...";
    String clean = ErrorMessages.printable(cut);
    header("Content-Type", "text/plain; charset=utf-8");
    send(code, (clean + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** The status code that was sent, or -1 if none was. */
  int code() {
    return code;
  }

  /** Ends a request without a response. */
  void abort() {
    var unused = channel.close();
  }
}
