package dev.dcgan.server;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.stream.ChunkedWriteHandler;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A port of an {@link HttpEndpoint}: its queue of connections that wait to be accepted, and the
 * thread that accepts them, parses requests and writes responses. Thread-safe.
 */
final class HttpListener implements AutoCloseable {

  // As many as Linux allows by default. If it is full, the kernel drops connections.
  private static final int BACKLOG = 4096;
  private static final int MAX_LINE_BYTES = 8 << 10;
  private static final int MAX_HEADER_BYTES = 16 << 10;
  private static final int MAX_CHUNK_BYTES = 8 << 10;
  private static final Duration STOP_TIME = Duration.ofSeconds(2);

  private final HttpRouter router;
  private final EventLoopGroup loop;
  private final ChannelGroup open = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true);
  private final Channel server;

  /**
   * Begins to listen.
   *
   * @param option that sets the port, for the error
   * @param thread the name of its thread
   * @param encryption null: plain text
   * @throws IOException the port cannot be bound
   */
  HttpListener(
      InetSocketAddress address,
      String option,
      String thread,
      HttpRouter router,
      HttpEndpoint.Limits limits,
      @Nullable SslContext encryption)
      throws IOException {
    this.router = router;
    HttpConnections connections =
        new HttpConnections(
            limits.connections(),
            limits.firstRequest(),
            limits.idle(),
            new HttpEventStream.Limits(
                new AddressPlaces(limits.streams()),
                limits.stalled().dividedBy(2),
                limits.stalled()),
            limits.readTime(),
            router::maxBody,
            router::accept);
    loop = new MultiThreadIoEventLoopGroup(1, Threads.named(thread), NioIoHandler.newFactory());
    ChannelFuture bound =
        new ServerBootstrap()
            .group(loop)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, BACKLOG)
            .option(ChannelOption.SO_REUSEADDR, true)
            // Otherwise a small body waits 40 ms for the acknowledgement of its headers.
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childHandler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    open.add(channel);
                    ChannelPipeline pipeline = channel.pipeline();
                    if (encryption != null) {
                      pipeline.addLast(encryption.newHandler(channel.alloc()));
                    }
                    pipeline.addLast(
                        new HttpServerCodec(MAX_LINE_BYTES, MAX_HEADER_BYTES, MAX_CHUNK_BYTES));
                    if (encryption != null) {
                      pipeline.addLast(new ChunkedWriteHandler()); // For files.
                    }
                    pipeline.addLast(connections.new Handler());
                  }
                })
            .bind(address)
            .awaitUninterruptibly();
    server = bound.channel();
    Throwable failure = bound.cause();
    if (failure != null) {
      close();
      throw new IOException(
          "cannot serve HTTP on port %d (%s); choose another with %s"
              .formatted(address.getPort(), failure.getMessage(), option),
          failure);
    }
  }

  int port() {
    return ((InetSocketAddress) server.localAddress()).getPort();
  }

  /** Waits until no request is in flight. Returns false if that exceeds the limit. */
  boolean awaitIdle(Duration limit) throws InterruptedException {
    return router.awaitIdle(limit);
  }

  /** Closes all connections, and then interrupts the pages. */
  @Override
  public void close() {
    server.close().awaitUninterruptibly();
    open.close().awaitUninterruptibly();
    loop.shutdownGracefully(0, STOP_TIME.toMillis(), TimeUnit.MILLISECONDS)
        .awaitUninterruptibly(STOP_TIME.toMillis());
    router.stop();
  }
}
