package dev.dcgan.server;

import dev.dcgan.server.FloodMetrics.Limit;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import java.net.SocketAddress;

/**
 * Identifies the connection of a call, so that limits can be applied per connection: of a gRPC
 * call, and of a request over HTTP while its page serves it.
 */
public final class CallConnection {

  private static final Context.Key<ClientConnection> CURRENT =
      Context.keyWithDefault("connection", new ClientConnection("none", ""));

  private CallConnection() {}

  /** Returns the current call's connection. */
  public static ClientConnection current() {
    CallStream stream = CallStream.current();
    return stream == null ? CURRENT.get() : stream.connection();
  }

  /** A context whose current connection is the given one. */
  static Context with(Context context, ClientConnection connection) {
    return context.withValue(CURRENT, connection);
  }

  /**
   * Returns what ends the current call because its client does not read the response: the call is
   * cancelled, and the client gets RESOURCE_EXHAUSTED. It can be run on any thread, also when the
   * response is complete but not sent.
   */
  public static Runnable resetStalled() {
    CallStream stream = CallStream.current();
    return () -> {
      if (stream != null) {
        stream.reset(Limit.RESPONSE_TIME);
      }
    };
  }

  /** Stores the connection in the context of each call that has no stream to take it from. */
  static final class Marker implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      if (CallStream.current() != null) {
        return next.startCall(call, headers);
      }
      // With the port: it differs for each connection.
      SocketAddress peer = call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR);
      ClientConnection connection = ClientConnection.of(String.valueOf(peer), peer);
      return Contexts.interceptCall(with(Context.current(), connection), call, headers, next);
    }
  }
}
