package dev.dcgan.server;

import io.netty.channel.EventLoopGroup;
import io.netty.util.concurrent.EventExecutor;
import java.util.concurrent.Executor;

/**
 * The event loop thread of a call's connection, for sending responses from it.
 *
 * <p>Responses that one task sends from that thread are flushed in one write and wake the client
 * once. A response from another thread wakes the event loop, and it the client, for each response.
 * With few clients that costs more than the rest of a call.
 */
public final class CallThread {

  private static final ThreadLocal<Executor> CURRENT = new ThreadLocal<>();

  private CallThread() {}

  /**
   * Returns the current thread's event loop if calls are handled on event loops; otherwise an
   * executor that runs tasks immediately in the calling thread.
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
