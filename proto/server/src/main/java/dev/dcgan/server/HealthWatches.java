package dev.dcgan.server;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.health.v1.HealthGrpc;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Ends health watches when the server drains. gRPC's health service never ends them, and draining
 * waits for all calls in flight. Thread-safe.
 */
final class HealthWatches implements ServerInterceptor {

  // Mutable state
  @GuardedBy("this") private final Set<Watch<?, ?>> open = new HashSet<>();

  @GuardedBy("this") private boolean ended;

  /** Ends all current and future watches. */
  void end() {
    List<Watch<?, ?>> watches;
    synchronized (this) {
      ended = true;
      watches = new ArrayList<>(open);
    }
    watches.forEach(Watch::end);
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    if (!call.getMethodDescriptor()
        .getFullMethodName()
        .equals(HealthGrpc.getWatchMethod().getFullMethodName())) {
      return next.startCall(call, headers);
    }
    Watch<Q, A> watch = new Watch<>(call);
    ServerCall.Listener<Q> listener = next.startCall(watch, headers);
    if (!add(watch)) {
      watch.end();
    }
    return new SimpleForwardingServerCallListener<>(listener) {
      @Override
      public void onCancel() {
        remove(watch);
        super.onCancel();
      }

      @Override
      public void onComplete() {
        remove(watch);
        super.onComplete();
      }
    };
  }

  private synchronized boolean add(Watch<?, ?> watch) {
    open.add(watch);
    return !ended;
  }

  private synchronized void remove(Watch<?, ?> watch) {
    open.remove(watch);
  }

  /** A call that can be ended externally and ignores its handler afterwards. */
  private static final class Watch<Q, A> extends SimpleForwardingServerCall<Q, A> {

    // Mutable state
    @GuardedBy("this") private boolean closed;

    Watch(ServerCall<Q, A> call) {
      super(call);
    }

    void end() {
      close(Status.UNAVAILABLE.withDescription("the server is shutting down"), new Metadata());
    }

    @Override
    public synchronized void sendHeaders(Metadata headers) {
      if (!closed) {
        super.sendHeaders(headers);
      }
    }

    @Override
    public synchronized void sendMessage(A message) {
      if (!closed) {
        super.sendMessage(message);
      }
    }

    @Override
    public synchronized void close(Status status, Metadata trailers) {
      if (!closed) {
        closed = true;
        super.close(status, trailers);
      }
    }
  }
}
