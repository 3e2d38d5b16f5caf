package dev.dcgan.server;

import io.grpc.Context;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServerStreamTracer;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Refuses requests that cannot be parsed: INVALID_ARGUMENT, or RESOURCE_EXHAUSTED if they exceed
 * {@link GrpcServer#MAX_REQUEST_BYTES}, compressed or not. Thread-safe.
 *
 * <p>On its own gRPC would report UNKNOWN, cancel the call, and log a stack trace for each. Here
 * they are one line at most every {@link LimitedLog#INTERVAL}, with the number of those between.
 */
final class InvalidRequests extends ServerStreamTracer.Factory implements ServerInterceptor {

  private static final Logger log = LoggerFactory.getLogger(InvalidRequests.class);

  private static final Context.Key<StreamStatus> STREAM = Context.key("stream");

  private final LimitedLog limited;

  InvalidRequests(LongSupplier nanoTime) {
    limited = new LimitedLog(nanoTime);
  }

  /** What a marshaller returns for a request that it cannot parse. */
  private record Unparseable(StatusRuntimeException failure) {}

  /** A marshaller that does not throw, because gRPC takes an exception for the server's fault. */
  private record RequestMarshaller<T>(Marshaller<T> delegate) implements Marshaller<T> {

    @Override
    public InputStream stream(T value) {
      return delegate.stream(value);
    }

    @Override
    @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"}) // See interceptCall.
    public T parse(InputStream stream) {
      try {
        return delegate.parse(stream);
      } catch (RuntimeException e) {
        return (T) new Unparseable(failureOf(e));
      }
    }
  }

  /** The status with which the transport ended a call. */
  private static final class StreamStatus extends ServerStreamTracer {

    // Set before the listener of the call hears of its end.
    private volatile Status.Code closed = Status.Code.CANCELLED;

    @Override
    public Context filterContext(Context context) {
      return context.withValue(STREAM, this);
    }

    @Override
    public void streamClosed(Status status) {
      closed = status.getCode();
    }
  }

  /** A call whose handler does not close it once it is refused: that would be a second time. */
  private static final class RefusableCall<Q, A> extends SimpleForwardingServerCall<Q, A> {

    private volatile boolean refused;

    RefusableCall(ServerCall<Q, A> call) {
      super(call);
    }

    void refuse(StatusRuntimeException failure) {
      refused = true;
      if (!isCancelled()) {
        Metadata trailers = failure.getTrailers();
        super.close(failure.getStatus(), trailers == null ? new Metadata() : trailers);
      }
    }

    @Override
    public void close(Status status, Metadata trailers) {
      if (!refused) {
        super.close(status, trailers);
      }
    }
  }

  @Override
  public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
    return new StreamStatus();
  }

  /**
   * The code of a call that its transport ended: RESOURCE_EXHAUSTED for a request that is too
   * large, otherwise CANCELLED.
   */
  static Status.Code cancellation(Context context) {
    StreamStatus stream = STREAM.get(context);
    return stream != null && stream.closed == Status.Code.RESOURCE_EXHAUSTED
        ? stream.closed
        : Status.Code.CANCELLED;
  }

  /** The same service, whose invalid requests {@link #interceptCall} refuses. */
  ServerServiceDefinition guard(ServerServiceDefinition service) {
    ServiceDescriptor descriptor = service.getServiceDescriptor();
    ServiceDescriptor.Builder guarded =
        ServiceDescriptor.newBuilder(descriptor.getName())
            .setSchemaDescriptor(descriptor.getSchemaDescriptor());
    List<ServerMethodDefinition<?, ?>> methods = new ArrayList<>();
    for (ServerMethodDefinition<?, ?> method : service.getMethods()) {
      ServerMethodDefinition<?, ?> safe = guard(method);
      methods.add(safe);
      guarded.addMethod(safe.getMethodDescriptor());
    }
    ServerServiceDefinition.Builder builder = ServerServiceDefinition.builder(guarded.build());
    methods.forEach(builder::addMethod);
    return builder.build();
  }

  private static <Q, A> ServerMethodDefinition<Q, A> guard(ServerMethodDefinition<Q, A> method) {
    MethodDescriptor<Q, A> descriptor = method.getMethodDescriptor();
    return ServerMethodDefinition.create(
        descriptor.toBuilder(
                new RequestMarshaller<>(descriptor.getRequestMarshaller()),
                descriptor.getResponseMarshaller())
            .build(),
        method.getServerCallHandler());
  }

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    RefusableCall<Q, A> refusable = new RefusableCall<>(call);
    return new SimpleForwardingServerCallListener<>(next.startCall(refusable, headers)) {

      @Override
      public void onMessage(Q message) {
        if (refusable.refused) {
          return;
        }
        if ((Object) message instanceof Unparseable invalid) {
          report(call.getMethodDescriptor().getFullMethodName(), invalid.failure.getStatus());
          refusable.refuse(invalid.failure);
          // The handler has seen no request, and releases what it holds as for a client that left.
          delegate().onCancel();
        } else {
          super.onMessage(message);
        }
      }

      @Override
      public void onHalfClose() {
        if (!refusable.refused) {
          super.onHalfClose();
        }
      }

      @Override
      public void onReady() {
        if (!refusable.refused) {
          super.onReady();
        }
      }

      @Override
      public void onComplete() {
        if (!refusable.refused) {
          super.onComplete();
        }
      }

      @Override
      public void onCancel() {
        if (cancellation(Context.current()) != Status.Code.CANCELLED) {
          report(
              call.getMethodDescriptor().getFullMethodName(),
              Status.RESOURCE_EXHAUSTED.withDescription(tooLarge()));
        }
        if (!refusable.refused) {
          super.onCancel();
        }
      }
    };
  }

  private void report(String method, Status status) {
    OptionalLong unlogged = limited.next();
    if (unlogged.isEmpty()) {
      return;
    }
    log.warn(
        "cannot parse a request: method={} code={} reason=\"{}\" unlogged={}",
        method,
        status.getCode(),
        status.getDescription(),
        unlogged.getAsLong());
  }

  private static StatusRuntimeException failureOf(RuntimeException failure) {
    Throwable cause = failure;
    for (Throwable next = failure; next != null; next = next.getCause()) {
      if (Status.fromThrowable(next).getCode() == Status.Code.RESOURCE_EXHAUSTED) {
        return Status.RESOURCE_EXHAUSTED.withDescription(tooLarge()).asRuntimeException();
      }
      cause = next;
    }
    String reason = String.valueOf(cause.getMessage()).replaceAll("\\s*\\R\\s*", " ").strip();
    return Errors.invalidArgument(
        "request",
        "cannot parse the request: %s; expected a message of this method".formatted(reason));
  }

  private static String tooLarge() {
    return "request too large; expected at most %d bytes, uncompressed"
        .formatted(GrpcServer.MAX_REQUEST_BYTES);
  }
}
