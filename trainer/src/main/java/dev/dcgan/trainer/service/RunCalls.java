package dev.dcgan.trainer.service;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.dcgan.server.Errors;
import dev.dcgan.server.Threads;
import dev.dcgan.trainer.config.InvalidConfigException;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.trainer.run.RequestException.Why;
import dev.dcgan.trainer.run.RunRecords;
import dev.dcgan.trainer.run.RunStore;
import dev.dcgan.v1.GetSamplesRequest;
import dev.dcgan.v1.GetSamplesResponse;
import dev.dcgan.v1.ListRunsRequest;
import dev.dcgan.v1.ListRunsResponse;
import dev.dcgan.v1.ModelVersion;
import dev.dcgan.v1.PublishModelRequest;
import dev.dcgan.v1.PublishModelResponse;
import dev.dcgan.v1.ResumeRunRequest;
import dev.dcgan.v1.Run;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a client can call, over gRPC and HTTP alike; those adapters only translate. Thread-safe.
 * Calls read and write small files at most, or return a future. One thread of its own serves all
 * subscriptions.
 *
 * <p>To shut down, call {@link #endWatches}, then shut down the servers, then {@link #close}.
 */
final class RunCalls implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(RunCalls.class);
  private static final int DEFAULT_PAGE_SIZE = 100;
  private static final int MAX_PAGE_SIZE = 1000;
  // A gRPC client accepts messages of 4 MiB.
  static final int MAX_PNG_BYTES = (4 << 20) - (64 << 10);
  private static final Duration RETRY_DELAY = Duration.ofMinutes(1);

  private final RunSource source;
  private final @Nullable RunManager manager;
  // Calls that read many or large files: others, and health checks, do not wait behind them.
  private final BackgroundTasks reads = new BackgroundTasks("reads", 2, 16);
  private final BackgroundTasks starts = new BackgroundTasks("starts", 1, 16);
  // To open a run may read many events. Many can wait: they cost little.
  private final BackgroundTasks opens = new BackgroundTasks("watch-open", 2, 512);
  private final ExecutorService subscriptionThread =
      Executors.newSingleThreadExecutor(Threads.named("watch"));
  private final Set<EventSubscription> subscriptions = ConcurrentHashMap.newKeySet();
  private final ResponseBudget budget;

  // Mutable state; written once, by the thread that ends the program.
  private volatile boolean ending;

  /** The calls of a service. */
  RunCalls(RunManager manager) {
    this(manager, manager, new ResponseBudget());
  }

  /** Calls that only read. */
  RunCalls(RunSource source) {
    this(source, null, new ResponseBudget());
  }

  RunCalls(RunSource source, @Nullable RunManager manager, ResponseBudget budget) {
    this.source = source;
    this.manager = manager;
    this.budget = budget;
  }

  /** The memory for the responses of all protocols. */
  ResponseBudget budget() {
    return budget;
  }

  Run get(String id) throws RequestException, IOException {
    return source.get(id);
  }

  CompletableFuture<ListRunsResponse> list(ListRunsRequest request) throws RequestException {
    int size = pageSize(request);
    String token = pageToken(request);
    return reads.submit(
        () -> {
          RunSource.Page page = source.list(size, token);
          return ListRunsResponse.newBuilder()
              .addAllRuns(page.runs())
              .setNextPageToken(page.next())
              .build();
        });
  }

  /** As {@link #watch}, for a caller that must not wait until the run is open. */
  CompletableFuture<EventSubscription> watchLater(
      WatchRunRequest request, EventSubscription.Sink sink) throws RequestException {
    return opens.submit(() -> watch(request, sink));
  }

  /**
   * Subscribes to the events of a run; {@link #start} sends the first. This reads the events of a
   * run that is not open.
   *
   * @param sink {@link EventSubscription.Sink#ended} is called exactly once
   */
  EventSubscription watch(WatchRunRequest request, EventSubscription.Sink sink)
      throws RequestException, IOException {
    long from = request.getFromIndex();
    if (from < 0) {
      throw Errors.invalidArgument(
          "from_index", "%s: expected less than 2^63".formatted(Long.toUnsignedString(from)));
    }
    RunRecords.Hold hold = source.watch(request.getRunId());
    EventSubscription subscription = new Held(hold, from, sink).subscription;
    subscriptions.add(subscription);
    return subscription;
  }

  void start(EventSubscription subscription) {
    subscription.start();
    if (ending) {
      subscription.close();
    }
  }

  /** The sample grid of a name, or {@code real-vs-generated.png}. */
  Path image(String id, String name) throws RequestException, IOException {
    String found = name.isEmpty() ? source.get(id).getSamples() : name;
    return source
        .folder(id)
        .image(found)
        .orElseThrow(
            () ->
                new RequestException(
                    Why.NOT_FOUND,
                    "run %s has no sample grid '%s'; expected a name of its events"
                        .formatted(id, found)));
  }

  CompletableFuture<GetSamplesResponse> samples(GetSamplesRequest request) throws RequestException {
    return reads.submit(() -> readSamples(request));
  }

  private GetSamplesResponse readSamples(GetSamplesRequest request)
      throws RequestException, IOException {
    Path file = image(request.getRunId(), request.getName());
    long size = Files.size(file);
    if (size > MAX_PNG_BYTES) {
      throw new RequestException(
          Why.WRONG_STATE,
          "%s has %d bytes; expected at most %d; fetch it over HTTP"
              .formatted(file.getFileName(), size, MAX_PNG_BYTES));
    }
    return GetSamplesResponse.newBuilder()
        .setName(file.getFileName().toString())
        .setPng(ByteString.copyFrom(Files.readAllBytes(file)))
        .build();
  }

  /** The file of one of a run's checkpoints. */
  Path checkpoint(String id, String file) throws RequestException, IOException {
    Path path = source.folder(id).checkpoints().resolve(file);
    if (!source.get(id).getCheckpointsList().contains(file) || !Files.isRegularFile(path)) {
      throw new RequestException(
          Why.NOT_FOUND, "run %s has no checkpoint '%s'".formatted(id, file));
    }
    return path;
  }

  CompletableFuture<Run> start(StartRunRequest request) throws RequestException {
    RunManager runs = manager();
    return starts.submit(() -> runs.start(request.getRequestId(), request.getConfig()));
  }

  Run stop(String id) throws RequestException, IOException {
    return manager().stop(id);
  }

  CompletableFuture<Run> resume(ResumeRunRequest request) throws RequestException {
    return manager()
        .resume(
            request.getRequestId(),
            request.getRunId(),
            request.hasEpochs() ? OptionalInt.of(request.getEpochs()) : OptionalInt.empty());
  }

  CompletableFuture<PublishModelResponse> publish(PublishModelRequest request)
      throws RequestException {
    CompletableFuture<ModelVersion> published =
        manager().publish(request.getRunId(), request.getCheckpoint(), request.getModel());
    CompletableFuture<PublishModelResponse> response =
        published.thenApply(model -> PublishModelResponse.newBuilder().setModel(model).build());
    // A task whose caller has cancelled while it is queued is not started.
    var unused =
        response.whenComplete(
            (done, failure) -> {
              if (failure instanceof CancellationException) {
                published.cancel(false);
              }
            });
    return response;
  }

  /** Sends subscribers the existing events and ends their subscriptions. */
  void endWatches() {
    ending = true;
    subscriptions.forEach(EventSubscription::close);
  }

  /** To be called when no call is active any more. */
  @Override
  public void close() {
    subscriptionThread.shutdown();
    reads.stop();
    starts.stop();
    opens.stop();
  }

  private RunManager manager() throws RequestException {
    if (manager == null) {
      throw new RequestException(Why.WRONG_STATE, "`trainer train` only shows its run");
    }
    return manager;
  }

  /** A sink, and the hold of the run that it is subscribed to. */
  private final class Held implements EventSubscription.Sink {

    private final RunRecords.Hold hold;
    private final EventSubscription.Sink sink;
    private final EventSubscription subscription;

    Held(RunRecords.Hold hold, long fromIndex, EventSubscription.Sink sink) {
      this.hold = hold;
      this.sink = sink;
      subscription = new EventSubscription(hold.record(), fromIndex, subscriptionThread, this);
    }

    @Override
    public boolean isReady() {
      return sink.isReady();
    }

    @Override
    public void deliver(RunEvent event) {
      sink.deliver(event);
    }

    @Override
    public void complete() {
      sink.complete();
    }

    @Override
    public void fail(Exception cause) {
      sink.fail(cause);
    }

    @Override
    public void ended() {
      subscriptions.remove(subscription);
      hold.close();
      sink.ended();
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

  /**
   * The status of a failed call.
   *
   * @param what what the call was to do, for example {@code stop the run}
   */
  static StatusRuntimeException toStatus(String what, Throwable thrown) {
    Throwable failure =
        thrown instanceof CompletionException && thrown.getCause() != null
            ? thrown.getCause()
            : thrown;
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
        case DENIED -> Errors.permissionDenied(message);
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
