package dev.dcgan.server;

import dev.dcgan.server.FloodMetrics.Limit;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Stream;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP/2 stream of a call: charges the memory of its request, limits the time until that has
 * been received, and can reset the call. {@link #reset} is thread-safe; the rest runs on the event
 * loop of the connection.
 *
 * <p>gRPC collects the bytes of a message until it is complete, and opens the flow-control window
 * again meanwhile. So a client could occupy {@link GrpcServer#MAX_REQUEST_BYTES} on each of its
 * streams.
 *
 * <p>The time runs from the beginning of a call until its client has sent everything. Where clients
 * send any number of messages, it runs from the beginning of each message.
 */
final class CallStream extends ServerStreamTracer {

  /** Creates the tracer of each stream. */
  static final class Factory extends ServerStreamTracer.Factory {

    private final MemoryShares memory;
    private final Duration time;
    private final Set<String> clientStreaming;
    private final FloodMetrics metrics;

    /**
     * A factory of a server.
     *
     * @param memory of requests that have not been received
     * @param time to send a request
     * @param clientStreaming the methods whose clients send any number of messages
     */
    Factory(MemoryShares memory, Duration time, Set<String> clientStreaming, FloodMetrics metrics) {
      this.memory = memory;
      this.time = time;
      this.clientStreaming = Set.copyOf(clientStreaming);
      this.metrics = metrics;
    }

    @Override
    public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
      GrpcConnections.Accepted from = GrpcConnections.current();
      return from == null ? new ServerStreamTracer() {} : new CallStream(from, method, this);
    }
  }

  private static final Context.Key<CallStream> CURRENT = Context.key("call stream");

  // Of a call until it ends: its state here, in gRPC and in Netty.
  private static final long CALL_BYTES = 8 << 10;
  // Of a piece of a request: its buffer and the objects that refer to it.
  private static final long MIN_PIECE_BYTES = 2 << 10;

  private final Channel channel;
  private final Http2ConnectionHandler http2;
  private final int id;
  private final boolean clientStreaming;
  private final ClientConnection connection;
  private final Factory factory;

  // Mutable state, of the event loop
  private long charged;
  private @Nullable ScheduledFuture<?> timeout;
  private boolean closed;

  private CallStream(GrpcConnections.Accepted from, String method, Factory factory) {
    channel = from.channel();
    connection = from.connection();
    this.factory = factory;
    http2 = channel.pipeline().get(Http2ConnectionHandler.class);
    // gRPC calls this while it handles the HEADERS that create the stream.
    id = http2.connection().remote().lastStreamCreated();
    clientStreaming = factory.clientStreaming.contains(method);
    charge(CALL_BYTES);
    if (!clientStreaming) {
      beginToReceive();
    }
  }

  /** The stream of the current call; null if there is none. */
  static @Nullable CallStream current() {
    return CURRENT.get();
  }

  ClientConnection connection() {
    return connection;
  }

  @Override
  public Context filterContext(Context context) {
    return context.withValue(CURRENT, this);
  }

  @Override
  public void inboundWireSize(long bytes) {
    charge(Math.max(bytes, MIN_PIECE_BYTES));
    if (clientStreaming && timeout == null) {
      beginToReceive();
    }
  }

  @Override
  public void inboundMessageRead(int number, long wireSize, long uncompressedSize) {
    long received = charged - CALL_BYTES;
    if (!closed && received > 0) {
      factory.memory.release(connection, received);
      charged = CALL_BYTES;
    }
    if (clientStreaming) {
      stopTimeout();
    }
  }

  @Override
  public void streamClosed(Status status) {
    if (!closed) {
      closed = true;
      stopTimeout();
      if (charged > 0) {
        factory.memory.release(connection, charged);
      }
    }
  }

  private void beginToReceive() {
    timeout =
        channel
            .eventLoop()
            .schedule(this::resetUnlessReceived, factory.time.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void stopTimeout() {
    if (timeout != null) {
      timeout.cancel(false);
      timeout = null;
    }
  }

  private void resetUnlessReceived() {
    Http2Stream stream = http2.connection().stream(id);
    // Its handler may not know yet that all was received: it waits for a thread.
    if (stream != null && (clientStreaming || stream.state().remoteSideOpen())) {
      resetNow(Limit.REQUEST_TIME);
    }
  }

  private void charge(long bytes) {
    if (closed) {
      return;
    }
    if (factory.memory.tryReserve(connection, bytes)) {
      charged += bytes;
    } else {
      reset(Limit.REQUEST_MEMORY);
    }
  }

  /** Ends the call, and frees what is buffered for it; the client gets RESOURCE_EXHAUSTED. */
  void reset(Limit limit) {
    channel.eventLoop().execute(() -> resetNow(limit));
  }

  private void resetNow(Limit limit) {
    ChannelHandlerContext context = channel.pipeline().context(Http2ConnectionHandler.class);
    if (context == null) {
      return;
    }
    if (http2.connection().stream(id) != null) {
      factory.metrics.exceeded(limit, connection.address());
      http2.onError(
          context,
          false,
          Http2Exception.streamError(
              id, Http2Error.ENHANCE_YOUR_CALM, "the call exceeded the limit %s", limit.label()));
      http2.flush(context);
    }
  }
}
