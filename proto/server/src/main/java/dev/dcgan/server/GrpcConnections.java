package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.server.FloodMetrics.Limit;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Flags;
import io.netty.handler.codec.http2.Http2FrameListenerDecorator;
import io.netty.handler.codec.http2.Http2Settings;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Limits the connections of a {@link GrpcServer}, and the frames of each. A handler of the channel
 * that accepts them. Thread-safe.
 */
@ChannelHandler.Sharable
final class GrpcConnections extends ChannelInboundHandlerAdapter {

  // Updates of the window by less than this are counted as frames without content.
  private static final int SMALL_INCREMENT = 1 << 10;

  /** A connection that was accepted. */
  record Accepted(Channel channel, ClientConnection connection) {}

  // The connection whose bytes this event loop is handling.
  private static final ThreadLocal<@Nullable Accepted> CURRENT = new ThreadLocal<>();

  private final FloodLimits limits;
  private final FloodMetrics metrics;
  private final LongSupplier nanoTime;

  // Mutable state
  @GuardedBy("this") private final Map<String, Integer> byAddress = new HashMap<>();

  @GuardedBy("this") private int open;

  GrpcConnections(FloodLimits limits, FloodMetrics metrics, LongSupplier nanoTime) {
    this.limits = limits;
    this.metrics = metrics;
    this.nanoTime = nanoTime;
  }

  /** The connection whose bytes the current thread is handling; null if there is none. */
  static @Nullable Accepted current() {
    return CURRENT.get();
  }

  /** Receives each connection that was accepted, before its event loop does. */
  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    Channel accepted = (Channel) message;
    String address = ClientConnection.address(accepted.remoteAddress());
    Limit exceeded = add(address);
    if (exceeded != null) {
      metrics.exceeded(exceeded, address);
      accepted.unsafe().closeForcibly();
      return;
    }
    var unused = accepted.closeFuture().addListener(closed -> remove(address));
    ClientConnection connection = new ClientConnection(accepted.id(), address);
    accepted.pipeline().addFirst(new Handler(new Accepted(accepted, connection)));
    ctx.fireChannelRead(accepted);
  }

  private synchronized @Nullable Limit add(String address) {
    int others = byAddress.getOrDefault(address, 0);
    if (open == limits.connections()) {
      return Limit.CONNECTIONS;
    }
    if (others == limits.connectionsOfAddress()) {
      return Limit.ADDRESS_CONNECTIONS;
    }
    open++;
    byAddress.put(address, others + 1);
    return null;
  }

  private synchronized void remove(String address) {
    open--;
    byAddress.computeIfPresent(address, (key, count) -> count == 1 ? null : count - 1);
  }

  /** Handles what one connection receives, before it is decrypted. */
  private final class Handler extends ChannelInboundHandlerAdapter {

    private final Accepted accepted;
    private boolean counting;

    Handler(Accepted accepted) {
      this.accepted = accepted;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (!counting) {
        // With TLS it is there after the handshake.
        ChannelHandlerContext http2 = ctx.pipeline().context(Http2ConnectionHandler.class);
        if (http2 != null) {
          counting = true;
          Http2ConnectionHandler handler = (Http2ConnectionHandler) http2.handler();
          handler.decoder().frameListener(new FrameCounter(ctx.channel(), handler));
        }
      }
      CURRENT.set(accepted);
      try {
        ctx.fireChannelRead(message);
      } finally {
        CURRENT.set(null);
      }
    }
  }

  /**
   * Counts frames that cost the client less than the server, and copies pieces of requests. gRPC
   * retains a piece until its message is complete, and with it all of the buffer into which it was
   * read: one byte of a request could occupy as much as what was sent before it.
   */
  private final class FrameCounter extends Http2FrameListenerDecorator {

    private final Channel channel;
    private long start = nanoTime.getAsLong();
    private int count;

    FrameCounter(Channel channel, Http2ConnectionHandler http2) {
      super(http2.decoder().frameListener());
      this.channel = channel;
    }

    private void countFrame() throws Http2Exception {
      long now = nanoTime.getAsLong();
      if (now - start > limits.window().toNanos()) {
        start = now;
        count = 0;
      }
      count++;
      if (count > limits.frames()) {
        metrics.exceeded(Limit.FRAMES, ClientConnection.address(channel.remoteAddress()));
        throw Http2Exception.connectionError(
            Http2Error.ENHANCE_YOUR_CALM, "too many frames without content");
      }
    }

    @Override
    public int onDataRead(
        ChannelHandlerContext ctx, int streamId, ByteBuf data, int padding, boolean endOfStream)
        throws Http2Exception {
      if (!data.isReadable() && !endOfStream) {
        countFrame();
      }
      ByteBuf piece = data.copy();
      try {
        return super.onDataRead(ctx, streamId, piece, padding, endOfStream);
      } finally {
        piece.release();
      }
    }

    @Override
    public void onPriorityRead(
        ChannelHandlerContext ctx, int streamId, int dependency, short weight, boolean exclusive)
        throws Http2Exception {
      countFrame();
      super.onPriorityRead(ctx, streamId, dependency, weight, exclusive);
    }

    @Override
    public void onSettingsRead(ChannelHandlerContext ctx, Http2Settings settings)
        throws Http2Exception {
      countFrame();
      super.onSettingsRead(ctx, settings);
    }

    @Override
    public void onSettingsAckRead(ChannelHandlerContext ctx) throws Http2Exception {
      countFrame();
      super.onSettingsAckRead(ctx);
    }

    @Override
    public void onPingRead(ChannelHandlerContext ctx, long data) throws Http2Exception {
      countFrame();
      super.onPingRead(ctx, data);
    }

    @Override
    public void onPingAckRead(ChannelHandlerContext ctx, long data) throws Http2Exception {
      countFrame();
      super.onPingAckRead(ctx, data);
    }

    @Override
    public void onWindowUpdateRead(ChannelHandlerContext ctx, int streamId, int increment)
        throws Http2Exception {
      if (increment < SMALL_INCREMENT) {
        countFrame();
      }
      super.onWindowUpdateRead(ctx, streamId, increment);
    }

    @Override
    public void onUnknownFrame(
        ChannelHandlerContext ctx, byte type, int streamId, Http2Flags flags, ByteBuf payload)
        throws Http2Exception {
      countFrame();
      super.onUnknownFrame(ctx, type, streamId, flags, payload);
    }
  }
}
