package dev.dcgan.server;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * A response of server-sent events (HTML standard, 9.2), which stays open without a thread.
 *
 * <p>Thread-safe; nothing blocks. The sender sends while {@link #isReady}, and waits for {@link
 * Listener#onReady} otherwise, so that a slow client costs at most some 64 KiB and one more burst.
 * A client that reads nothing for a while is disconnected. Comments keep the connection alive
 * through proxies, and detect clients that are gone.
 */
public final class HttpEventStream {

  /** Is called on the connection's thread, which must not be blocked. */
  public interface Listener {

    /** The client has read what was sent. */
    void onReady();

    /** The client is gone, or the stream has ended; called once. */
    void onClosed();
  }

  /**
   * The limits of an endpoint's streams.
   *
   * @param places for streams
   * @param heartbeat the time between two comments
   * @param stalled how long a client may read nothing
   */
  record Limits(AddressPlaces places, Duration heartbeat, Duration stalled) {}

  private static final ByteBuf HEARTBEAT =
      Unpooled.unreleasableBuffer(Unpooled.directBuffer(3).writeBytes(new byte[] {':', '\n', '\n'}))
          .asReadOnly();
  private static final Duration END_TIME = Duration.ofSeconds(2);

  private final Channel channel;
  private final Limits limits;

  // Mutable state, of the connection's thread
  private long lastReady = System.nanoTime();

  private HttpEventStream(Channel channel, Limits limits) {
    this.channel = channel;
    this.limits = limits;
  }

  /**
   * Opens a stream on a connection that serves no further request.
   *
   * @param address of the client, for which the caller has taken a place, which the stream returns
   */
  static HttpEventStream open(
      Channel channel, String address, HttpResponse headers, Limits limits) {
    HttpEventStream stream = new HttpEventStream(channel, limits);
    var unused = channel.writeAndFlush(headers);
    long period = limits.heartbeat.toNanos();
    ScheduledFuture<?> ticks =
        channel.eventLoop().scheduleAtFixedRate(stream::tick, period, period, TimeUnit.NANOSECONDS);
    var unusedToo =
        channel
            .closeFuture()
            .addListener(
                closed -> {
                  ticks.cancel(false);
                  limits.places.free(address);
                });
    return stream;
  }

  /** Starts to call the listener; to be called once. */
  public void listen(Listener listener) {
    var unused =
        channel
            .pipeline()
            .addLast(
                new ChannelInboundHandlerAdapter() {
                  @Override
                  public void handlerAdded(ChannelHandlerContext ctx) {
                    // The sender may have waited, and the client read, before this was added.
                    channelWritabilityChanged(ctx);
                  }

                  @Override
                  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
                    if (ctx.channel().isWritable()) {
                      lastReady = System.nanoTime();
                      listener.onReady();
                    }
                  }
                });
    var unusedToo = channel.closeFuture().addListener(closed -> listener.onClosed());
  }

  /** Whether an event can be sent without a growing buffer. */
  public boolean isReady() {
    return channel.isWritable();
  }

  /**
   * Sends an event of the type {@code message}.
   *
   * @param id what the client names as {@code Last-Event-ID} when it connects again
   * @param data one line
   */
  public void send(long id, String data) {
    write("id: " + id + "\ndata: " + data + "\n\n");
  }

  /**
   * Sends an event of another type, without an id.
   *
   * @param data one line
   */
  public void sendAs(String type, String data) {
    write("event: " + type + "\ndata: " + data + "\n\n");
  }

  /** Closes the connection when the client has what was sent, or a moment later. */
  public void end() {
    var unused =
        channel
            .writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT)
            .addListener(ChannelFutureListener.CLOSE);
    var unusedToo =
        channel.eventLoop().schedule(this::drop, END_TIME.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void write(String event) {
    if (event.indexOf('\r') >= 0) {
      throw new IllegalArgumentException("cannot send an event: it has a carriage return");
    }
    var unused =
        channel.writeAndFlush(
            new DefaultHttpContent(ByteBufUtil.writeUtf8(channel.alloc(), event)));
  }

  private void tick() {
    if (channel.isWritable()) {
      lastReady = System.nanoTime();
      var unused = channel.writeAndFlush(new DefaultHttpContent(HEARTBEAT.duplicate()));
    } else if (System.nanoTime() - lastReady > limits.stalled.toNanos()) {
      drop();
    }
  }

  private void drop() {
    var unused = channel.close();
  }
}
