package dev.dcgan.server;

import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Converts an unexpected exception of a handler into INTERNAL and one log entry. */
final class FaultBarrier implements ServerInterceptor {

  private static final Logger log = LoggerFactory.getLogger(FaultBarrier.class);

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    GuardedCall<ReqT, RespT> guarded = new GuardedCall<>(call);
    try {
      return new GuardedListener<>(next.startCall(guarded, headers), guarded);
    } catch (RuntimeException e) {
      guarded.fail(e);
      return new ServerCall.Listener<>() {};
    }
  }

  private static final class GuardedCall<ReqT, RespT>
      extends SimpleForwardingServerCall<ReqT, RespT> {

    // Written by the thread that closes the call.
    private volatile boolean closed;

    GuardedCall(ServerCall<ReqT, RespT> call) {
      super(call);
    }

    @Override
    public void close(Status status, Metadata trailers) {
      closed = true;
      super.close(status, trailers);
    }

    void fail(RuntimeException e) {
      String method = getMethodDescriptor().getFullMethodName();
      if (isCancelled()) {
        // Responding to a client that cancelled throws too, which is not a bug.
        log.debug("{} was cancelled", method, e);
        return;
      }
      log.error("{} failed", method, e);
      if (!closed) {
        close(Errors.internal().getStatus(), new Metadata());
      }
    }
  }

  private static final class GuardedListener<ReqT>
      extends SimpleForwardingServerCallListener<ReqT> {

    private final GuardedCall<ReqT, ?> call;

    GuardedListener(ServerCall.Listener<ReqT> delegate, GuardedCall<ReqT, ?> call) {
      super(delegate);
      this.call = call;
    }

    @Override
    public void onMessage(ReqT message) {
      guarded(() -> super.onMessage(message));
    }

    @Override
    public void onHalfClose() {
      guarded(super::onHalfClose);
    }

    @Override
    public void onReady() {
      guarded(super::onReady);
    }

    private void guarded(Runnable event) {
      try {
        event.run();
      } catch (RuntimeException e) {
        call.fail(e);
      }
    }
  }
}
