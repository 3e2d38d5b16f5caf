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
import org.jspecify.annotations.Nullable;

/**
 * The HTTP/2 stream of a call: charges the memory of its request, and can reset it. {@link #reset}
 * is thread-safe; the rest runs on the event loop of the connection.
 *
 * <p>gRPC collects the bytes of a message until it is complete, and opens the flow-control window
 * again meanwhile. So a client could occupy {@link GrpcServer#MAX_REQUEST_BYTES} on each of its
 * streams.
 */
final class CallStream extends ServerStreamTracer {

  /** Creates the tracer of each stream. */
  static final class Factory extends ServerStreamTracer.Factory {

    private final MemoryShares memory;
    private final FloodMetrics metrics;

    Factory(MemoryShares memory, FloodMetrics metrics) {
      this.memory = memory;
      this.metrics = metrics;
    }

    @Override
    public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
      GrpcConnections.Accepted from = GrpcConnections.current();
      return from == null ? new ServerStreamTracer() {} : new CallStream(from, this);
    }
  }

  private static final Context.Key<CallStream> CURRENT = Context.key("call stream");

  // Of a call until it ends: its state here, in gRPC and in Netty.
  private static final long CALL_BYTES = 8 << 10;
  // A small piece of a request retains the larger buffer into which it was read.
  private static final long MIN_PIECE_BYTES = 2 << 10;

  private final Channel channel;
  private final int id;
  private final ClientConnection connection;
  private final Factory factory;

  // Mutable state, of the event loop
  private long charged;
  private boolean closed;

  private CallStream(GrpcConnections.Accepted from, Factory factory) {
    channel = from.channel();
    connection = from.connection();
    this.factory = factory;
    Http2ConnectionHandler http2 = channel.pipeline().get(Http2ConnectionHandler.class);
    // gRPC calls this while it handles the HEADERS that create the stream.
    id = http2.connection().remote().lastStreamCreated();
    charge(CALL_BYTES);
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
  }

  @Override
  public void inboundMessageRead(int number, long wireSize, long uncompressedSize) {
    long received = charged - CALL_BYTES;
    if (!closed && received > 0) {
      factory.memory.release(connection, received);
      charged = CALL_BYTES;
    }
  }

  @Override
  public void streamClosed(Status status) {
    if (!closed) {
      closed = true;
      if (charged > 0) {
        factory.memory.release(connection, charged);
      }
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
    Http2ConnectionHandler http2 = (Http2ConnectionHandler) context.handler();
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
