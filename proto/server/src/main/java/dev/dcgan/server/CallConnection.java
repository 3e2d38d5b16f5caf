package dev.dcgan.server;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;

/** Identifies the connection of a call, so that limits can be applied per connection. */
public final class CallConnection {

  private static final Context.Key<Object> CURRENT =
      Context.keyWithDefault("connection", CallConnection.class);

  private CallConnection() {}

  /**
   * Returns an identifier of the current call's connection. It is equal for calls of one
   * connection.
   */
  public static Object current() {
    return CURRENT.get();
  }

  /** Stores the connection in the context of each call. */
  static final class Marker implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      Object peer = call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR); // With the port.
      return Contexts.interceptCall(
          Context.current().withValue(CURRENT, peer), call, headers, next);
    }
  }
}
