package dev.dcgan.sampler.grpc;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.MessageLite;
import dev.dcgan.sampler.core.ImageListener;
import dev.dcgan.sampler.core.ImageResult;
import dev.dcgan.sampler.core.ImageService.Reserved;
import dev.dcgan.sampler.core.ImageStream;
import dev.dcgan.sampler.core.PendingResponse;
import dev.dcgan.sampler.core.RequestContext;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.core.ResponseSink;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.CallConnection;
import dev.dcgan.server.CallThread;
import dev.dcgan.server.CallTrace;
import dev.dcgan.server.Errors;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One call of a gRPC service: its context for the core, its responses, and the memory that is
 * reserved for them until the client has read them or is gone. Thread-safe. To be made within the
 * method that handles the call, because gRPC takes no handlers later.
 */
final class GrpcCall<T extends MessageLite> implements ResponseSink<ImageResult<T>> {

  private final ServerCallStreamObserver<T> observer;
  private final ImageListener listener;
  private final RequestContext context;
  private final Runnable reset = CallConnection.resetStalled();

  // Mutable state
  @GuardedBy("this") private boolean cancelled;

  @GuardedBy("this") private boolean closed;

  @GuardedBy("this") private ResponseBudget.@Nullable Reservation memory;

  @GuardedBy("this") private Runnable onCancel = () -> {};

  private volatile Runnable onReady = () -> {};

  GrpcCall(StreamObserver<T> observer, ImageListener listener) {
    this.observer = (ServerCallStreamObserver<T>) observer;
    this.listener = listener;
    Deadline deadline = Context.current().getDeadline();
    this.context =
        new RequestContext(
            CallConnection.current(),
            AccessControl.callerKey(),
            deadline != null,
            deadline == null ? 0 : System.nanoTime() + deadline.timeRemaining(TimeUnit.NANOSECONDS),
            CallThread.current(),
            CallTrace.current());
    // One of the two ends every call: the first once the last byte was written to the connection,
    // which waits for the client to read.
    this.observer.setOnCloseHandler(this::close);
    this.observer.setOnCancelHandler(this::cancel);
    this.observer.setOnReadyHandler(
        () -> {
          ready();
          onReady.run();
        });
  }

  RequestContext context() {
    return context;
  }

  /** Sets what to do when the client cancels the call or is gone; at once if that has happened. */
  private void onCancel(Runnable action) {
    synchronized (this) {
      onCancel = action;
      if (!cancelled) {
        return;
      }
    }
    action.run();
  }

  /** Sends a response that takes a few bytes. */
  void respond(T response) {
    observer.onNext(response);
    observer.onCompleted();
  }

  /** Sends a response for which memory is reserved, once it is made; or says why there is none. */
  void respond(PendingResponse<Reserved<T>> pending) {
    whenMade(pending, observer::onNext);
  }

  /** Sends a response with images, likewise. */
  void respondWithImages(PendingResponse<Reserved<ImageResult<T>>> pending) {
    whenMade(pending, this::send);
  }

  /** Has the stream, once it has begun, continue whenever the client is ready for more. */
  void stream(PendingResponse<ImageStream<ImageResult<T>>> pending) {
    onCancel(pending::cancel);
    CompletableFuture<ImageStream<ImageResult<T>>> begun = pending.future();
    onReady =
        () -> {
          if (begun.isDone() && !begun.isCompletedExceptionally()) {
            begun.join().pump();
          }
        };
    var unused =
        begun.whenComplete(
            (stream, failure) -> {
              if (failure != null) {
                fail(RequestException.of(failure));
              } else {
                stream.pump(); // The client may have become ready meanwhile.
              }
            });
  }

  private <R> void whenMade(PendingResponse<Reserved<R>> pending, Consumer<R> sender) {
    onCancel(pending::cancel);
    var unused =
        pending
            .future()
            .whenComplete(
                (reserved, failure) -> {
                  if (failure != null) {
                    fail(RequestException.of(failure));
                    return;
                  }
                  hold(reserved.memory());
                  sender.accept(reserved.value());
                  complete();
                });
  }

  @Override
  public void hold(ResponseBudget.Reservation reservation) {
    synchronized (this) {
      if (!closed) {
        memory = reservation;
        return;
      }
    }
    reservation.close();
  }

  @Override
  public boolean isReady() {
    return observer.isReady();
  }

  @Override
  public synchronized void send(ImageResult<T> result) {
    observer.onNext(result.response());
    listener.sent(result);
    sent();
    ready(); // Otherwise it will be reported.
  }

  @Override
  public synchronized void complete() {
    observer.onCompleted();
    sent();
  }

  private synchronized void sent() {
    if (memory != null) {
      memory.sent(reset);
    }
  }

  /**
   * The client has read what was sent, unless more was sent meanwhile: gRPC may report late that it
   * is ready. So whoever sends, and this method, hold the lock.
   */
  private synchronized void ready() {
    if (memory != null && observer.isReady()) {
      memory.read();
    }
  }

  @Override
  public void fail(RequestException reason) {
    observer.onError(toStatus(reason));
  }

  private void cancel() {
    Runnable action;
    synchronized (this) {
      cancelled = true;
      action = onCancel;
    }
    close();
    action.run();
  }

  private synchronized void close() {
    closed = true;
    if (memory != null) {
      memory.close();
    }
  }

  private static StatusRuntimeException toStatus(RequestException reason) {
    String message = String.valueOf(reason.getMessage());
    return switch (reason.code()) {
      case INVALID -> Errors.invalidArgument(reason.field(), message);
      case NOT_FOUND -> Errors.notFound(message);
      case OVERLOADED -> Errors.overloaded(message, reason.retryAfter());
      case TOO_LATE -> Errors.deadlineExceeded(message);
      case UNAVAILABLE -> Errors.unavailable(message);
      case WRONG_STATE -> Errors.failedPrecondition(message);
      case FORBIDDEN -> Errors.permissionDenied(message);
      case CANCELLED -> Status.CANCELLED.withDescription(message).asRuntimeException();
      case FAULT -> Errors.internal();
    };
  }
}
