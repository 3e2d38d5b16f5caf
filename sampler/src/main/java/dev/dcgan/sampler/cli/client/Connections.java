package dev.dcgan.sampler.cli.client;

import dev.dcgan.server.Target;
import dev.dcgan.server.Threads;
import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioSocketChannel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Cheap connections for a {@link Load}: each has one thread, which reads, writes, runs the
 * callbacks and keeps the deadlines. With gRPC's shared threads another one would keep the
 * deadlines and wake up for every call. Retries are disabled, so that no call is buffered for one.
 */
public final class Connections implements AutoCloseable {

  private final List<EventLoopGroup> loops = new ArrayList<>();
  private final List<ManagedChannel> channels = new ArrayList<>();

  private Connections() {}

  /**
   * Creates channels, which connect with the first calls.
   *
   * @throws IOException the target's address is invalid
   */
  public static Connections to(Target target, int count) throws IOException {
    Connections connections = new Connections();
    try {
      for (int i = 0; i < count; i++) {
        connections.add(target);
      }
      return connections;
    } catch (IOException e) {
      connections.close();
      throw e;
    }
  }

  public List<ManagedChannel> channels() {
    return List.copyOf(channels);
  }

  /** Closes at once; calls in progress are cancelled. */
  @Override
  public void close() {
    channels.forEach(ManagedChannel::shutdownNow);
    for (EventLoopGroup loop : loops) {
      var unused = loop.shutdownGracefully(0, 1, TimeUnit.SECONDS);
    }
  }

  private void add(Target target) throws IOException {
    boolean hasEpoll = Epoll.isAvailable();
    IoHandlerFactory io = hasEpoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory();
    EventLoopGroup loop = new MultiThreadIoEventLoopGroup(1, Threads.named("connection"), io);
    loops.add(loop);
    channels.add(
        target.open(
            (address, credentials) ->
                NettyChannelBuilder.forTarget(address, credentials)
                    .eventLoopGroup(loop)
                    .channelType(hasEpoll ? EpollSocketChannel.class : NioSocketChannel.class)
                    .directExecutor()
                    .disableRetry()));
  }
}
