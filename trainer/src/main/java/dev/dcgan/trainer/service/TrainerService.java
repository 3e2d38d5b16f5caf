package dev.dcgan.trainer.service;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.server.Errors;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.ListRunsRequest;
import dev.dcgan.v1.ListRunsResponse;
import dev.dcgan.v1.PublishModelRequest;
import dev.dcgan.v1.PublishModelResponse;
import dev.dcgan.v1.ResumeRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.StopRunRequest;
import dev.dcgan.v1.TrainerServiceGrpc;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The gRPC adapter of {@link RunManager}. Thread-safe; handlers read and write small files at most.
 * One thread of its own serves all subscriptions.
 *
 * <p>To shut down, call {@link #endWatches}, then shut down the server, then {@link #close}.
 */
final class TrainerService extends TrainerServiceGrpc.TrainerServiceImplBase
    implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(TrainerService.class);
  private static final int DEFAULT_PAGE_SIZE = 100;
  private static final int MAX_PAGE_SIZE = 1000;
  private static final String WATCH = "read the events of the run";
  private static final Duration RETRY_DELAY = Duration.ofMinutes(1);

  private final RunManager runs;
  private final ExecutorService subscriptionThread =
      Executors.newSingleThreadExecutor(Threads.named("watch"));
  private final Set<EventSubscription> subscriptions = ConcurrentHashMap.newKeySet();

  // Mutable state; written once, by the thread that ends the program.
  private volatile boolean ending;

  TrainerService(RunManager runs) {
    this.runs = runs;
  }

  @Override
  public void startRun(StartRunRequest request, StreamObserver<Run> observer) {
    respond(
        observer, "start the run", () -> runs.start(request.getRequestId(), request.getConfig()));
  }

  @Override
  public void getRun(GetRunRequest request, StreamObserver<Run> observer) {
    respond(observer, "read the run", () -> runs.get(request.getRunId()));
  }

  @Override
  public void listRuns(ListRunsRequest request, StreamObserver<ListRunsResponse> observer) {
    respond(
        observer,
        "list the runs",
        () -> {
          RunManager.Page page = runs.list(pageSize(request), pageToken(request));
          return ListRunsResponse.newBuilder()
              .addAllRuns(page.runs())
              .setNextPageToken(page.next())
              .build();
        });
  }

  @Override
  public void watchRun(WatchRunRequest request, StreamObserver<RunEvent> observer) {
    ServerCallStreamObserver<RunEvent> call = (ServerCallStreamObserver<RunEvent>) observer;
    try {
      if (request.getFromIndex() < 0) {
        throw Errors.invalidArgument(
            "from_index",
            "%s: expected less than 2^63".formatted(Long.toUnsignedString(request.getFromIndex())));
      }
      watch(runs.watch(request.getRunId()), request.getFromIndex(), call);
    } catch (Exception e) {
      observer.onError(toStatus(WATCH, e));
    }
  }

  @Override
  public void stopRun(StopRunRequest request, StreamObserver<Run> observer) {
    respond(observer, "stop the run", () -> runs.stop(request.getRunId()));
  }

  @Override
  public void resumeRun(ResumeRunRequest request, StreamObserver<Run> observer) {
    respondLater(
        observer,
        "resume the run",
        () ->
            runs.resume(
                request.getRequestId(),
                request.getRunId(),
                request.hasEpochs() ? OptionalInt.of(request.getEpochs()) : OptionalInt.empty()),
        Function.identity());
  }

  @Override
  public void publishModel(
      PublishModelRequest request, StreamObserver<PublishModelResponse> observer) {
    respondLater(
        observer,
        "publish the model",
        () -> runs.publish(request.getRunId(), request.getCheckpoint(), request.getModel()),
        model -> PublishModelResponse.newBuilder().setModel(model).build());
  }

  /** Sends subscribers the existing events and ends their calls. */
  void endWatches() {
    ending = true;
    subscriptions.forEach(EventSubscription::close);
  }

  /** To be called when no call is active any more. */
  @Override
  public void close() {
    subscriptionThread.shutdown();
  }

  private void watch(
      RunRecords.Hold hold, long fromIndex, ServerCallStreamObserver<RunEvent> call) {
    // The subscription ends by itself and then removes itself.
    class Caller implements EventSubscription.Sink {

      private final EventSubscription subscription =
          new EventSubscription(hold.record(), fromIndex, subscriptionThread, this);

      @Override
      public boolean isReady() {
        return call.isReady();
      }

      @Override
      public void deliver(RunEvent event) {
        call.onNext(event);
      }

      @Override
      public void complete() {
        call.onCompleted();
      }

      @Override
      public void fail(Exception cause) {
        call.onError(toStatus(WATCH, cause));
      }

      @Override
      public void ended() {
        subscriptions.remove(subscription);
        hold.close();
      }
    }

    EventSubscription subscription = new Caller().subscription;
    subscriptions.add(subscription);
    call.setOnReadyHandler(subscription::wake);
    call.setOnCancelHandler(subscription::cancel);
    subscription.start();
    if (ending) {
      subscription.close();
    }
  }

  private static int pageSize(ListRunsRequest request) {
    long size = Integer.toUnsignedLong(request.getPageSize());
    if (size > MAX_PAGE_SIZE) {
      throw Errors.invalidArgument(
          "page_size", "%d: expected at most %d".formatted(size, MAX_PAGE_SIZE));
    }
    return size == 0 ? DEFAULT_PAGE_SIZE : (int) size;
  }

  private static String pageToken(ListRunsRequest request) {
    String token = request.getPageToken();
    if (!token.isEmpty() && !RunStore.isId(token)) {
      throw Errors.invalidArgument(
          "page_token", "'%s': expected the next_page_token of a response".formatted(token));
    }
    return token;
  }

  private static <T> void respond(StreamObserver<T> observer, String what, Callable<T> call) {
    T response;
    try {
      response = call.call();
    } catch (Exception e) {
      observer.onError(toStatus(what, e));
      return;
    }
    observer.onNext(response);
    observer.onCompleted();
  }

  /** A task whose caller has cancelled while it is queued is not started. */
  private static <T, A> void respondLater(
      StreamObserver<A> observer,
      String what,
      Callable<CompletableFuture<T>> call,
      Function<T, A> toResponse) {
    CompletableFuture<T> future;
    try {
      future = call.call();
    } catch (Exception e) {
      observer.onError(toStatus(what, e));
      return;
    }
    ((ServerCallStreamObserver<A>) observer).setOnCancelHandler(() -> future.cancel(false));
    var unused =
        future.whenComplete(
            (result, failure) -> {
              if (failure != null) {
                observer.onError(toStatus(what, failure));
                return;
              }
              observer.onNext(toResponse.apply(result));
              observer.onCompleted();
            });
  }

  /**
   * The status of a failed call.
   *
   * @param what what the call was to do, for example {@code stop the run}
   */
  private static StatusRuntimeException toStatus(String what, Throwable failure) {
    if (failure instanceof StatusRuntimeException status) {
      return status;
    }
    if (failure instanceof InvalidConfigException invalid) {
      return Errors.invalidArgument(
          invalid.violations().stream()
              .map(wrong -> new Errors.Violation(wrong.field(), wrong.description()))
              .toList());
    }
    if (failure instanceof RequestException refused) {
      String message = String.valueOf(refused.getMessage());
      return switch (refused.why()) {
        case NOT_FOUND -> Errors.notFound(message);
        case WRONG_STATE -> Errors.failedPrecondition(message);
        case ALREADY_EXISTS -> Errors.alreadyExists(message);
        case FULL -> Errors.overloaded(message, RETRY_DELAY);
        case ENDING -> Errors.unavailable(message);
      };
    }
    if (failure instanceof CancellationException) {
      return Status.CANCELLED.withDescription("the call was cancelled").asRuntimeException();
    }
    if (failure instanceof IOException io
        && !(io.getCause() instanceof InvalidProtocolBufferException)) {
      return IoStatus.of(what, io);
    }
    if (failure instanceof UncheckedIOException io) { // of a stream of files
      return IoStatus.of(what, Objects.requireNonNull(io.getCause()));
    }
    // Also a damaged run.json: neither another try nor room on the disk helps.
    log.error("cannot {}", what, failure);
    return Errors.internal();
  }
}
