package dev.dcgan.server;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The connections of an {@link HttpEndpoint}. All of it runs on one event loop.
 *
 * <p>If there are as many connections as may be, a new one takes the place of the one that has been
 * waiting longest for a request, or for its client to read a large response. Connections that send
 * nothing, half a request, or read nothing therefore never use up the limit. Half of the
 * connections may be of one client address; beyond that, a new one takes the place of one of them.
 */
final class HttpConnections {

  private static final int MAX_PIPELINED = 16;

  private final int limit;
  private final Duration firstRequest;
  private final Duration idle;
  private final HttpEventStream.Limits streams;
  private final ReadTime readTime;
  private final ToIntFunction<HttpRequest> maxBody;
  private final BiConsumer<HttpCall, Runnable> router;

  // Mutable state
  // In the order in which they began to wait for a request.
  private final Set<Channel> waiting = new LinkedHashSet<>();
  private final Map<String, Integer> openOfAddress = new HashMap<>();
  private int open;

  /**
   * No connections.
   *
   * @param limit the maximum number of connections
   * @param firstRequest the time to send the first request
   * @param idle the time to send another one
   * @param streams the limits of responses of events
   * @param readTime the time to read another response
   * @param maxBody the largest body of a request; 0: a body has no meaning
   * @param router receives each request, and what to run on any thread when it is complete; that
   *     never happens if the response is a stream, which ends with its connection
   */
  HttpConnections(
      int limit,
      Duration firstRequest,
      Duration idle,
      HttpEventStream.Limits streams,
      ReadTime readTime,
      ToIntFunction<HttpRequest> maxBody,
      BiConsumer<HttpCall, Runnable> router) {
    this.limit = limit;
    this.firstRequest = firstRequest;
    this.idle = idle;
    this.streams = streams;
    this.readTime = readTime;
    this.maxBody = maxBody;
    this.router = router;
  }

  /** A request and its body, as far as that has been received. */
  private record Received(HttpRequest request, int maxBody, ByteArrayOutputStream body) {

    boolean isTooLarge() {
      return body.size() > maxBody;
    }
  }

  /** Handles the requests of one connection, one after another. */
  final class Handler extends ChannelInboundHandlerAdapter {

    private final Deque<Received> pipelined = new ArrayDeque<>();
    private @Nullable Received incomplete;
    private @Nullable ScheduledFuture<?> timeout;
    private @Nullable HttpCall call;
    private String address = "";
    private boolean busy;
    private boolean last;

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
      open++;
      address = address(ctx.channel());
      int others = openOfAddress.merge(address, 1, Integer::sum) - 1;
      if (others >= Math.max(1, limit / 2)) {
        evict(ctx.channel(), waiting.stream().filter(other -> address(other).equals(address)));
      } else if (open > limit) {
        evict(ctx.channel(), waiting.stream());
      }
      await(ctx, firstRequest);
    }

    private void evict(Channel newest, Stream<Channel> others) {
      Channel evicted = others.findFirst().orElse(newest);
      waiting.remove(evicted);
      close(evicted);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      open--;
      openOfAddress.computeIfPresent(address, (key, count) -> count == 1 ? null : count - 1);
      stopWaiting(ctx);
      pipelined.clear();
      if (call != null) {
        call.disconnected();
      }
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      try {
        if (message instanceof HttpRequest request && !last) {
          read(ctx, request);
        }
        if (message instanceof HttpContent content && incomplete != null) {
          read(ctx, incomplete, content);
        }
      } finally {
        ReferenceCountUtil.release(message);
      }
    }

    private void read(ChannelHandlerContext ctx, HttpRequest request) {
      int limit = request.decoderResult().isSuccess() ? maxBody.applyAsInt(request) : 0;
      // The client sends requests but reads no responses, or many bodies at once.
      if (pipelined.size() == MAX_PIPELINED
          || !ctx.channel().isWritable()
          || (limit > 0 && pipelined.stream().anyMatch(waiting -> waiting.maxBody > 0))) {
        close(ctx.channel());
        return;
      }
      Received received = new Received(request, limit, new ByteArrayOutputStream());
      if (limit == 0) {
        pipelined.add(received);
        next(ctx);
        return;
      }
      incomplete = received;
      if (HttpUtil.is100ContinueExpected(request)) {
        var unused =
            ctx.writeAndFlush(
                new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE));
      }
    }

    /** Receives a body, in the time that its connection has for a request. */
    private void read(ChannelHandlerContext ctx, Received received, HttpContent content) {
      if (content.decoderResult().isFailure()) {
        close(ctx.channel());
        return;
      }
      byte[] bytes = new byte[content.content().readableBytes()];
      content.content().readBytes(bytes);
      received.body.writeBytes(bytes);
      if (received.isTooLarge() || content instanceof LastHttpContent) {
        incomplete = null;
        pipelined.add(received);
        next(ctx);
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      close(ctx.channel()); // The client has disconnected.
    }

    private void next(ChannelHandlerContext ctx) {
      Received received = busy ? null : pipelined.poll();
      if (received == null) {
        return;
      }
      HttpRequest request = received.request;
      busy = true;
      stopWaiting(ctx);
      // A body would have to be received before the next request.
      boolean body =
          received.maxBody == 0
              ? HttpUtil.isTransferEncodingChunked(request) || length(request) != 0
              : received.isTooLarge();
      boolean valid = request.decoderResult().isSuccess();
      last = body || !valid || !HttpUtil.isKeepAlive(request);
      HttpCall next =
          new HttpCall(
              ctx.channel(),
              request,
              received.body.toByteArray(),
              received.maxBody,
              !last,
              streams,
              readTime,
              () -> execute(ctx, () -> sending(ctx)));
      call = next;
      router.accept(next, () -> execute(ctx, () -> complete(ctx)));
    }

    private void execute(ChannelHandlerContext ctx, Runnable task) {
      try {
        ctx.executor().execute(task);
      } catch (RejectedExecutionException e) {
        close(ctx.channel()); // The endpoint was closed meanwhile.
      }
    }

    /** The response is complete; it is read, or the connection may be replaced. */
    private void sending(ChannelHandlerContext ctx) {
      if (busy && ctx.channel().isActive()) {
        waiting.add(ctx.channel());
      }
    }

    private void complete(ChannelHandlerContext ctx) {
      busy = false;
      call = null;
      if (ctx.channel().isActive()) {
        await(ctx, idle);
        next(ctx);
      }
    }

    private void await(ChannelHandlerContext ctx, Duration limit) {
      waiting.remove(ctx.channel()); // It may have been sending.
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

  private static String address(Channel channel) {
    return ClientConnection.address(channel.remoteAddress());
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
