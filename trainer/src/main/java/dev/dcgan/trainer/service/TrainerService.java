package dev.dcgan.trainer.service;

import com.google.protobuf.Message;
import dev.dcgan.server.AccessControl;
import dev.dcgan.server.CallConnection;
import dev.dcgan.server.access.Role;
import dev.dcgan.v1.GetRunRequest;
import dev.dcgan.v1.GetSamplesRequest;
import dev.dcgan.v1.GetSamplesResponse;
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
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;

/** The gRPC adapter of {@link RunCalls}. Thread-safe. */
final class TrainerService extends TrainerServiceGrpc.TrainerServiceImplBase {

  private static final String WATCH = "read the events of the run";

  private final RunCalls calls;

  TrainerService(RunCalls calls) {
    this.calls = calls;
  }

  @Override
  public void startRun(StartRunRequest request, StreamObserver<Run> observer) {
    respondLater(observer, "start the run", () -> calls.start(request));
  }

  @Override
  public void getRun(GetRunRequest request, StreamObserver<Run> observer) {
    respond(observer, "read the run", () -> visible(calls.get(request.getRunId())));
  }

  @Override
  public void listRuns(ListRunsRequest request, StreamObserver<ListRunsResponse> observer) {
    boolean seesFolders = seesFolders(); // Asked here, on the thread of the call.
    respondLater(
        observer,
        "list the runs",
        () -> calls.list(request).thenApply(page -> seesFolders ? page : withoutFolders(page)));
  }

  @Override
  public void watchRun(WatchRunRequest request, StreamObserver<RunEvent> observer) {
    ServerCallStreamObserver<RunEvent> call = (ServerCallStreamObserver<RunEvent>) observer;
    try {
      ResponseBudget.Share share = calls.budget().share(CallConnection.current());
      Subscriber subscriber =
          new Subscriber(call, share, CallConnection.resetStalled(), seesFolders());
      CompletableFuture<EventSubscription> started =
          calls
              .watchLater(request, subscriber)
              .thenApply(
                  subscription -> {
                    calls.start(subscription);
                    return subscription;
                  });
      call.setOnReadyHandler(
          () -> {
            subscriber.ready();
            var unused = started.thenAccept(EventSubscription::wake);
          });
      call.setOnCloseHandler(share::release);
      call.setOnCancelHandler(
          () -> {
            share.release();
            var unused = started.thenAccept(EventSubscription::cancel);
          });
      var unused =
          started.whenComplete(
              (subscription, failure) -> {
                if (failure != null) {
                  observer.onError(RunCalls.toStatus(WATCH, failure));
                }
              });
    } catch (Exception e) {
      observer.onError(RunCalls.toStatus(WATCH, e));
    }
  }

  @Override
  public void stopRun(StopRunRequest request, StreamObserver<Run> observer) {
    respond(observer, "stop the run", () -> calls.stop(request.getRunId()));
  }

  @Override
  public void resumeRun(ResumeRunRequest request, StreamObserver<Run> observer) {
    respondLater(observer, "resume the run", () -> calls.resume(request));
  }

  @Override
  public void publishModel(
      PublishModelRequest request, StreamObserver<PublishModelResponse> observer) {
    respondLater(observer, "publish the model", () -> calls.publish(request));
  }

  @Override
  public void getSamples(GetSamplesRequest request, StreamObserver<GetSamplesResponse> observer) {
    respondLater(observer, "read the sample grid", () -> calls.samples(request));
  }

  /**
   * A subscriber. The subscription ends by itself.
   *
   * @param share of the events that were sent; those that the client has not read for too long end
   *     the call, but it may wait for events as long as it likes
   * @param reset ends the call
   */
  private record Subscriber(
      ServerCallStreamObserver<RunEvent> call,
      ResponseBudget.Share share,
      Runnable reset,
      boolean seesFolders)
      implements EventSubscription.Sink {

    @Override
    public boolean isReady() {
      return call.isReady();
    }

    @Override
    public void deliver(RunEvent event) {
      RunEvent visible = seesFolders ? event : RunJson.withoutFolders(event);
      int bytes = visible.getSerializedSize();
      synchronized (share) { // See ready().
        if (!share.acquire(bytes)) {
          throw ResponseBudget.exhausted(bytes);
        }
        call.onNext(visible);
        share.sent(reset);
        ready(); // Otherwise it will be reported.
      }
    }

    /**
     * The client has read what was sent, unless more was sent meanwhile: gRPC may report late that
     * it is ready. So whoever sends, and this method, hold the lock of the share.
     */
    void ready() {
      synchronized (share) {
        if (call.isReady()) {
          share.read();
        }
      }
    }

    @Override
    public void complete() {
      synchronized (share) {
        call.onCompleted();
        share.sent(reset);
      }
    }

    @Override
    public void fail(Exception cause) {
      call.onError(RunCalls.toStatus(WATCH, cause));
    }

    @Override
    public void ended() {}
  }

  /** Only those who may name data need to know where it lies. */
  private static boolean seesFolders() {
    return AccessControl.caller().hasAny(Set.of(Role.TRAIN));
  }

  private static Run visible(Run run) {
    return seesFolders() ? run : RunJson.withoutFolders(run);
  }

  private static ListRunsResponse withoutFolders(ListRunsResponse page) {
    ListRunsResponse.Builder clean = page.toBuilder().clearRuns();
    page.getRunsList().forEach(run -> clean.addRuns(RunJson.withoutFolders(run)));
    return clean.build();
  }

  private <T extends Message> void respond(
      StreamObserver<T> observer, String what, Callable<T> call) {
    respondLater(observer, what, () -> CompletableFuture.completedFuture(call.call()));
  }

  /** A task whose caller has cancelled while it is queued is not started. */
  private <T extends Message> void respondLater(
      StreamObserver<T> observer, String what, Callable<CompletableFuture<T>> call) {
    CompletableFuture<T> future;
    try {
      future = call.call();
    } catch (Exception e) {
      observer.onError(RunCalls.toStatus(what, e));
      return;
    }
    ServerCallStreamObserver<T> stream = (ServerCallStreamObserver<T>) observer;
    ResponseBudget.Share share = calls.budget().share(CallConnection.current());
    Runnable reset = CallConnection.resetStalled();
    stream.setOnCloseHandler(share::release);
    stream.setOnCancelHandler(
        () -> {
          future.cancel(false);
          share.release();
        });
    var unused =
        future.whenComplete(
            (response, failure) -> {
              if (failure != null) {
                observer.onError(RunCalls.toStatus(what, failure));
                return;
              }
              int bytes = response.getSerializedSize();
              if (!share.acquire(bytes)) {
                observer.onError(ResponseBudget.exhausted(bytes));
                return;
              }
              observer.onNext(response);
              observer.onCompleted();
              share.sent(reset);
            });
  }
}
