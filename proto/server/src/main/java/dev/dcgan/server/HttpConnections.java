package dev.dcgan.server;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The connections of an {@link HttpEndpoint}. All of it runs on one event loop.
 *
 * <p>If there are as many connections as may be, a new one takes the place of the one that has been
 * waiting longest for a request. Connections that send nothing, or half a request, therefore never
 * use up the limit.
 */
final class HttpConnections {

  private static final int MAX_PIPELINED = 16;

  private final int limit;
  private final Duration firstRequest;
  private final Duration idle;
  private final BiConsumer<HttpCall, Runnable> router;

  // Mutable state
  // In the order in which they began to wait for a request.
  private final Set<Channel> waiting = new LinkedHashSet<>();
  private int open;

  /**
   * No connections.
   *
   * @param limit the maximum number of connections
   * @param firstRequest the time to send the first request
   * @param idle the time to send another one
   * @param router receives each request, and what to run on any thread when it is complete
   */
  HttpConnections(
      int limit, Duration firstRequest, Duration idle, BiConsumer<HttpCall, Runnable> router) {
    this.limit = limit;
    this.firstRequest = firstRequest;
    this.idle = idle;
    this.router = router;
  }

  /** Handles the requests of one connection, one after another. */
  final class Handler extends ChannelInboundHandlerAdapter {

    private final Deque<HttpRequest> pipelined = new ArrayDeque<>();
    private @Nullable ScheduledFuture<?> timeout;
    private boolean busy;
    private boolean last;

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
      open++;
      Iterator<Channel> oldest = waiting.iterator();
      if (open > limit) {
        Channel evicted = oldest.hasNext() ? oldest.next() : ctx.channel();
        waiting.remove(evicted);
        close(evicted);
      }
      await(ctx, firstRequest);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      open--;
      stopWaiting(ctx);
      pipelined.clear();
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      // Bodies have no meaning here.
      ReferenceCountUtil.release(message);
      if (!(message instanceof HttpRequest request) || last) {
        return;
      }
      // The client sends requests but reads no responses.
      if (pipelined.size() == MAX_PIPELINED || !ctx.channel().isWritable()) {
        close(ctx.channel());
        return;
      }
      pipelined.add(request);
      next(ctx);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      close(ctx.channel()); // The client has disconnected.
    }

    private void next(ChannelHandlerContext ctx) {
      HttpRequest request = busy ? null : pipelined.poll();
      if (request == null) {
        return;
      }
      busy = true;
      stopWaiting(ctx);
      // A body would have to be received before the next request.
      boolean body = HttpUtil.isTransferEncodingChunked(request) || length(request) != 0;
      boolean valid = request.decoderResult().isSuccess();
      last = body || !valid || !HttpUtil.isKeepAlive(request);
      router.accept(
          new HttpCall(ctx.channel(), request, !last),
          () -> {
            try {
              ctx.executor().execute(() -> complete(ctx));
            } catch (RejectedExecutionException e) {
              close(ctx.channel()); // The endpoint was closed meanwhile.
            }
          });
    }

    private void complete(ChannelHandlerContext ctx) {
      busy = false;
      if (ctx.channel().isActive()) {
        await(ctx, idle);
        next(ctx);
      }
    }

    private void await(ChannelHandlerContext ctx, Duration limit) {
      waiting.add(ctx.channel());
      timeout =
          ctx.executor()
              .schedule(() -> close(ctx.channel()), limit.toNanos(), TimeUnit.NANOSECONDS);
    }

    private void stopWaiting(ChannelHandlerContext ctx) {
      waiting.remove(ctx.channel());
      if (timeout != null) {
        timeout.cancel(false);
      }
    }
  }

  private static void close(Channel channel) {
    var unused = channel.close();
  }

  private static long length(HttpRequest request) {
    try {
      return HttpUtil.getContentLength(request, 0L);
    } catch (NumberFormatException e) {
      return -1;
    }
  }
}
