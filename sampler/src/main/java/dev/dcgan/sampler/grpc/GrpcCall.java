package dev.dcgan.sampler.grpc;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import com.google.protobuf.MessageLite;
import dev.dcgan.sampler.core.RequestException;
import dev.dcgan.sampler.core.ResponseBudget;
import dev.dcgan.sampler.models.ModelRegistry;
import dev.dcgan.sampler.models.ModelStatus;
import dev.dcgan.sampler.models.NotServedException;
import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.BatchScheduler;
import dev.dcgan.sampler.scheduling.QueueFullException;
import dev.dcgan.sampler.scheduling.TooLateException;
import dev.dcgan.server.CallConnection;
import dev.dcgan.server.CallThread;
import dev.dcgan.server.Errors;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A call of one of the gRPC services: who waits, until when, what memory the answer may take, and
 * what to do when the caller goes away or reads on. Thread-safe; made within the call of the
 * method, because gRPC takes no handlers later.
 */
final class GrpcCall<T extends MessageLite> {

  /** What is done with a version. It releases it, unless it throws. */
  interface Use {
    void with(ServedVersion model) throws QueueFullException, TooLateException;
  }

  /** Asks for what is known of a version. */
  interface Question {
    CompletableFuture<ModelStatus> ask() throws NotServedException;
  }

  // To make them takes about as long as a change of thread.
  private static final int FEW_VALUES = 32 * 64;

  private final ServerCallStreamObserver<T> observer;
  private final ResponseBudget room;
  private final Object connection = CallConnection.current();
  private final Executor thread = CallThread.current();
  private final @Nullable Deadline deadline = Context.current().getDeadline();

  // Mutable state
  @GuardedBy("this") private boolean cancelled;

  @GuardedBy("this") private long reserved;

  @GuardedBy("this") private Runnable onCancel = () -> {};

  private volatile Runnable onReady = () -> {};

  GrpcCall(StreamObserver<T> observer, ResponseBudget room) {
    this.observer = (ServerCallStreamObserver<T>) observer;
    this.room = room;
    // One of the two ends every call: the first once the last byte was written to the connection,
    // which waits for the caller to read.
    this.observer.setOnCloseHandler(this::giveBack);
    this.observer.setOnCancelHandler(this::cancel);
    this.observer.setOnReadyHandler(() -> onReady.run());
  }

  /** Where to answer from, see {@link CallThread}. */
  Executor thread() {
    return thread;
  }

  /** Until the caller's deadline, or {@link BatchScheduler#NO_DEADLINE}. */
  long nanosLeft() {
    return deadline == null ? BatchScheduler.NO_DEADLINE : deadline.timeRemaining(TimeUnit.NANOSECONDS);
  }

  /** Sets what to do in place of what was to be done before; at once if it has happened. */
  void onCancel(Runnable action) {
    synchronized (this) {
      onCancel = action;
      if (!cancelled) {
        return;
      }
    }
    action.run();
  }

  void onReady(Runnable action) {
    onReady = action;
  }

  boolean isReady() {
    return observer.isReady();
  }

  /**
   * Sets memory aside for the answer, until the caller has it or is gone.
   *
   * @param bytes that it takes at most
   * @throws RequestException there is none left for it
   */
  synchronized void reserve(long bytes) {
    if (cancelled) {
      throw RequestException.of(RequestException.Kind.CANCELLED, "the call was cancelled");
    }
    room.take(connection, bytes);
    reserved += bytes;
  }

  /** Sends an answer for which memory was reserved. */
  void send(T answer) {
    observer.onNext(answer);
  }

  void complete() {
    observer.onCompleted();
  }

  /** Answers with a few bytes, at any time: no memory is set aside for them. */
  void tell(T answer) {
    observer.onNext(answer);
    observer.onCompleted();
  }

  /** Answers with what is made already, or tells the caller that there is no room for it. */
  void answer(T answer) {
    try {
      reserve(answer.getSerializedSize());
    } catch (RequestException e) {
      refuse(e);
      return;
    }
    observer.onNext(answer);
    observer.onCompleted();
  }

  /** Tells the caller why not. */
  void refuse(Throwable failure) {
    observer.onError(told(RequestException.of(failure)));
  }

  /** Answers with what is known of a version, or tells the caller why not. */
  void answer(Question question, Function<ModelStatus, T> answer) {
    CompletableFuture<ModelStatus> status;
    try {
      status = question.ask();
    } catch (NotServedException | RequestException e) {
      refuse(e);
      return;
    }
    var unused =
        status
            .thenApply(answer)
            .whenComplete(
                (found, failure) -> {
                  if (failure != null) {
                    refuse(failure);
                  } else {
                    answer(found);
                  }
                });
  }

  /**
   * Answers with images once they are made, for which memory was reserved, or tells the caller why
   * not, and ends the use of the version.
   *
   * @param sent hears of the answer that was sent
   */
  void answer(ServedVersion model, CompletableFuture<T> made, Consumer<T> sent) {
    var unused =
        made.whenComplete(
            (answer, failure) -> {
              model.release();
              if (failure != null) {
                refuse(failure);
                return;
              }
              observer.onNext(answer);
              sent.accept(answer);
              observer.onCompleted();
            });
  }

  /**
   * Does something with a version: at once where it is in memory and the call is a small one,
   * otherwise on {@code later}; or tells the caller why not.
   *
   * @param images that the call asks for, about
   */
  void use(ModelRegistry models, String name, long version, long images, Executor later, Use use) {
    CompletableFuture<ServedVersion> acquired;
    try {
      acquired = models.acquire(name, version);
    } catch (NotServedException e) {
      refuse(e);
      return;
    }
    if (acquired.isDone() && !acquired.isCompletedExceptionally()) {
      ServedVersion model = acquired.join();
      if (images <= FEW_VALUES / model.latentSize()) {
        use(model, use);
      } else {
        later.execute(() -> use(model, use));
      }
      return;
    }
    onCancel(() -> acquired.cancel(false));
    var unused =
        acquired.whenCompleteAsync(
            (model, failure) -> {
              if (failure != null) {
                refuse(failure);
              } else {
                use(model, use);
              }
            },
            later);
  }

  private void use(ServedVersion model, Use use) {
    try {
      use.with(model);
    } catch (QueueFullException | TooLateException | RuntimeException | Error e) {
      // Whatever it was: a use that is never released would keep the version open for ever.
      model.release();
      refuse(e);
    }
  }

  private void cancel() {
    Runnable action;
    synchronized (this) {
      cancelled = true;
      action = onCancel;
    }
    giveBack();
    action.run();
  }

  private synchronized void giveBack() {
    room.giveBack(connection, reserved);
    reserved = 0;
  }

  private static StatusRuntimeException told(RequestException refusal) {
    String message = String.valueOf(refusal.getMessage());
    return switch (refusal.kind()) {
      case INVALID -> Errors.invalidArgument(refusal.field(), message);
      case NOT_FOUND -> Errors.notFound(message);
      case OVERLOADED -> Errors.overloaded(message, refusal.retryAfter());
      case TOO_LATE -> Errors.deadlineExceeded(message);
      case UNAVAILABLE -> Errors.unavailable(message);
      case WRONG_STATE -> Errors.failedPrecondition(message);
      case FORBIDDEN -> Errors.permissionDenied(message);
      case CANCELLED -> Status.CANCELLED.withDescription(message).asRuntimeException();
      case FAULT -> Errors.internal();
    };
  }
}
