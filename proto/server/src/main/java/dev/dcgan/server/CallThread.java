package dev.dcgan.server;

import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.util.concurrent.EventExecutor;
import java.util.concurrent.Executor;

/**
 * The thread that reads from and writes to a call's connection, for answering on it.
 *
 * <p>Answers that one task gives on that thread leave in one write, and wake the client once. Given
 * from elsewhere, each would wake this thread, and it the client, one by one: with few callers that
 * costs more than all else in a call.
 */
public final class CallThread {

  private static final ThreadLocal<Executor> CURRENT = new ThreadLocal<>();

  private CallThread() {}

  /**
   * The current thread, where it is a connection's and calls are handled on it; otherwise an
   * executor that runs tasks at once, wherever.
   */
  public static Executor current() {
    Executor current = CURRENT.get();
    return current == null ? Runnable::run : current;
  }

  static void register(EventLoopGroup group) {
    for (EventExecutor loop : group) {
      loop.execute(() -> CURRENT.set(loop));
    }
  }
}
