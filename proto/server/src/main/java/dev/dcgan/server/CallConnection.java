package dev.dcgan.server;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;

/** The connection that a call came by, for sharing out among connections what is bounded. */
public final class CallConnection {

  private static final Context.Key<Object> CURRENT =
      Context.keyWithDefault("connection", CallConnection.class);

  private CallConnection() {}

  /** Stands for the connection of the call that is handled now: equal for calls of one. */
  public static Object current() {
    return CURRENT.get();
  }

  /** Tells the handlers of calls. */
  static final class Marker implements ServerInterceptor {
    @Override
    public <Q, A> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
      Object peer = call.getAttributes().get(Grpc.TRANSPORT_ATTR_REMOTE_ADDR); // Its port too.
      return Contexts.interceptCall(
          Context.current().withValue(CURRENT, peer), call, headers, next);
    }
  }
}
