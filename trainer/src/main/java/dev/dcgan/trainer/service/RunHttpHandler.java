package dev.dcgan.trainer.service;

import com.google.protobuf.Message;
import dev.dcgan.server.Errors;
import dev.dcgan.server.HttpCall;
import dev.dcgan.server.HttpEventStream;
import dev.dcgan.server.HttpPage;
import dev.dcgan.server.StaticAsset;
import dev.dcgan.trainer.run.RequestException;
import dev.dcgan.v1.ListRunsRequest;
import dev.dcgan.v1.PublishModelRequest;
import dev.dcgan.v1.ResumeRunRequest;
import dev.dcgan.v1.RunEvent;
import dev.dcgan.v1.StartRunRequest;
import dev.dcgan.v1.WatchRunRequest;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP adapter of {@link RunCalls}: its messages as JSON, the events of a run as server-sent
 * events, images and checkpoints as files; and the pages of the dashboard. Thread-safe.
 *
 * <pre>
 *   GET  /v1/form                          the fields of a run's config
 *   GET  /v1/runs                          dcgan.v1.ListRunsResponse
 *   POST /v1/runs                          dcgan.v1.StartRunRequest
 *   GET  /v1/runs/RUN                      dcgan.v1.Run
 *   GET  /v1/runs/RUN/events               dcgan.v1.RunEvent each; the id is the index
 *   GET  /v1/runs/RUN/samples/FILE         PNG
 *   GET  /v1/runs/RUN/real-vs-generated.png
 *   GET  /v1/runs/RUN/checkpoints/FILE
 *   POST /v1/runs/RUN:stop                 {}
 *   POST /v1/runs/RUN:resume               dcgan.v1.ResumeRunRequest
 *   POST /v1/runs/RUN:publish              dcgan.v1.PublishModelRequest
 * </pre>
 */
final class RunHttpHandler implements HttpPage {

  private static final int MAX_BODY = 64 << 10;
  private static final int MAX_DOWNLOADS = 4;
  private static final String WATCH = "read the events of the run";
  private static final String FORM = "/v1/form";
  private static final String RUNS = "/v1/runs";
  private static final String REAL = "real-vs-generated.png";
  private static final String UPLOT = "/META-INF/resources/webjars/uplot/1.6.30/dist/";
  private static final Pattern RUN = Pattern.compile("/v1/runs/([A-Za-z0-9._-]+)");
  private static final Pattern ACTION =
      Pattern.compile("/v1/runs/([A-Za-z0-9._-]+):(stop|resume|publish)");
  private static final Pattern PART =
      Pattern.compile(
          "/v1/runs/([A-Za-z0-9._-]+)/(?:(events|real-vs-generated\\.png)|(samples|checkpoints)/([A-Za-z0-9._-]+))");
  private static final Pattern PAGE_SIZE = Pattern.compile("(?:^|&)page_size=([0-9]{1,9})(?:&|$)");
  private static final Pattern PAGE_TOKEN =
      Pattern.compile("(?:^|&)page_token=([A-Za-z0-9._-]*)(?:&|$)");

  private final RunCalls calls;
  private final HttpActions actions;
  private final Semaphore downloads = new Semaphore(MAX_DOWNLOADS);

  private RunHttpHandler(RunCalls calls, HttpActions actions) {
    this.calls = calls;
    this.actions = actions;
  }

  /** The pages of the dashboard and what they read, by path. */
  static Map<String, HttpPage> pages(RunCalls calls, HttpActions actions) {
    RunHttpHandler handler = new RunHttpHandler(calls, actions);
    Map<String, HttpPage> pages =
        new TreeMap<>(
            StaticAsset.all(
                RunHttpHandler.class,
                "index.html",
                "run.html",
                "start.html",
                "compare.html",
                "dashboard.css",
                "icon.svg",
                "api.js",
                "charts.js",
                "dom.js",
                "compare.js",
                "history.js",
                "run.js",
                "runs.js",
                "start.js"));
    for (String file : List.of("uPlot.esm.js", "uPlot.min.css")) {
      pages.put("/" + file, StaticAsset.of(RunHttpHandler.class, UPLOT + file));
    }
    pages.put(FORM, handler);
    pages.put(RUNS, handler);
    pages.put(RUNS + "/*", handler);
    return pages;
  }

  @Override
  public int maxBody() {
    return actions.enabled() ? MAX_BODY : 0;
  }

  @Override
  public void serve(HttpCall call) throws IOException {
    call.header("Cross-Origin-Resource-Policy", "same-origin"); // Other sites' pages show nothing.
    Optional<String> refused = call.isPost() ? actions.whyNotAct(call) : actions.whyNotRead(call);
    if (refused.isPresent()) {
      fail(call, "serve", Errors.permissionDenied(refused.get()));
    } else if (call.isPost()) {
      act(call);
    } else {
      read(call);
    }
  }

  private void read(HttpCall call) throws IOException {
    String path = call.path();
    Matcher run = RUN.matcher(path);
    Matcher part = PART.matcher(path);
    if (path.equals(FORM)) {
      json(call, RunJson.form(actions.enabled()));
    } else if (path.equals(RUNS)) {
      answer(call, "list the runs", () -> RunJson.of(await(calls.list(page(call.query())))));
    } else if (run.matches()) {
      answer(call, "read the run", () -> RunJson.of(calls.get(run.group(1))));
    } else if (!part.matches()) {
      call.text(404, "no such page; expected a run, or its events, samples or checkpoints");
    } else if ("events".equals(part.group(2))) {
      events(call, part.group(1));
    } else if ("checkpoints".equals(part.group(3))) {
      checkpoint(call, part.group(1), part.group(4));
    } else {
      image(call, part.group(1), part.group(2) == null ? part.group(4) : REAL);
    }
  }

  private void act(HttpCall call) throws IOException {
    Matcher action = ACTION.matcher(call.path());
    if (call.path().equals(RUNS)) {
      StartRunRequest.Builder start = StartRunRequest.newBuilder();
      answer(
          call, "start the run", () -> RunJson.of(await(calls.start(read(call, start).build()))));
    } else if (!action.matches()) {
      call.text(404, "no such action; expected /v1/runs or a run with :stop, :resume or :publish");
    } else {
      String id = action.group(1);
      switch (action.group(2)) {
        case "stop" -> answer(call, "stop the run", () -> RunJson.of(calls.stop(id)));
        case "resume" -> {
          ResumeRunRequest.Builder resume = ResumeRunRequest.newBuilder();
          answer(
              call,
              "resume the run",
              () -> RunJson.of(await(calls.resume(read(call, resume).setRunId(id).build()))));
        }
        default -> {
          PublishModelRequest.Builder publish = PublishModelRequest.newBuilder();
          answer(
              call,
              "publish the model",
              () -> RunJson.of(await(calls.publish(read(call, publish).setRunId(id).build()))));
        }
      }
    }
  }

  private void events(HttpCall call, String id) throws IOException {
    if (call.isHead()) {
      call.sendHeaders(200);
      return;
    }
    Viewer viewer = new Viewer();
    EventSubscription subscription;
    try {
      subscription =
          calls.watch(
              WatchRunRequest.newBuilder().setRunId(id).setFromIndex(from(call)).build(), viewer);
    } catch (Exception e) {
      fail(call, WATCH, e);
      return;
    }
    Optional<HttpEventStream> stream = Optional.empty();
    try {
      stream = call.openEvents();
    } finally {
      viewer.begin(stream.orElse(null), subscription);
    }
  }

  /** The event after the last one that the viewer has. */
  private static long from(HttpCall call) {
    List<String> last = call.headers("Last-Event-ID");
    if (last.isEmpty()) {
      return 0;
    }
    if (last.size() > 1 || !last.get(0).matches("[0-9]{1,18}")) {
      throw Errors.invalidArgument(
          "Last-Event-ID", "%s: expected the id of an event".formatted(last));
    }
    return Long.parseLong(last.get(0)) + 1;
  }

  /** A viewer of a run's events. */
  private final class Viewer implements EventSubscription.Sink {

    // Mutable state
    private volatile @Nullable HttpEventStream stream;

    /** Starts the subscription, or ends it if there is no stream. */
    void begin(@Nullable HttpEventStream opened, EventSubscription subscription) {
      stream = opened;
      calls.start(subscription);
      if (opened == null) {
        subscription.cancel();
        return;
      }
      opened.listen(
          new HttpEventStream.Listener() {
            @Override
            public void onReady() {
              subscription.wake();
            }

            @Override
            public void onClosed() {
              subscription.cancel();
            }
          });
    }

    @Override
    public boolean isReady() {
      HttpEventStream open = stream;
      return open != null && open.isReady();
    }

    @Override
    public void deliver(RunEvent event) {
      HttpEventStream open = stream;
      if (open != null) {
        open.send(event.getIndex(), RunJson.of(event));
      }
    }

    @Override
    public void complete() {
      HttpEventStream open = stream;
      if (open != null) {
        open.sendAs("end", "{}");
        open.end();
      }
    }

    @Override
    public void fail(Exception cause) {
      var unused = RunCalls.toStatus(WATCH, cause); // Logs it.
      HttpEventStream open = stream;
      if (open != null) {
        open.end(); // The browser connects again, and gets the error then.
      }
    }

    @Override
    public void ended() {}
  }

  private void image(HttpCall call, String id, String name) throws IOException {
    Path file;
    long size;
    String tag;
    try {
      file = calls.image(id, name);
      size = Files.size(file);
      tag = "\"%x-%x\"".formatted(Files.getLastModifiedTime(file).toMillis(), size);
      if (call.headers("If-None-Match").contains(tag)) {
        call.header("ETag", tag);
        call.sendHeaders(304);
        return;
      }
    } catch (RequestException | IOException | RuntimeException e) {
      fail(call, "read the sample grid", e);
      return;
    }
    Runnable headers =
        () -> {
          call.header("Content-Type", "image/png");
          // A resumed run may draw an epoch's grid again.
          call.header("Cache-Control", "no-cache");
          call.header("ETag", tag);
        };
    if (size > RunCalls.MAX_PNG_BYTES) {
      download(call, file, headers);
      return;
    }
    ResponseBudget.Share share = calls.budget().share(call.connection());
    if (!share.acquire((int) size)) {
      fail(call, "read the sample grid", ResponseBudget.exhausted((int) size));
      return;
    }
    byte[] png;
    try {
      png = Files.readAllBytes(file);
    } catch (IOException | RuntimeException e) {
      share.release();
      fail(call, "read the sample grid", e);
      return;
    }
    headers.run();
    call.send(200, png.length, out -> out.write(png), share::release);
  }

  private void checkpoint(HttpCall call, String id, String name) throws IOException {
    Optional<String> refused = actions.whyNotDownload(call);
    if (refused.isPresent()) {
      fail(call, "read the checkpoint", Errors.permissionDenied(refused.get()));
      return;
    }
    Path file;
    try {
      file = calls.checkpoint(id, name);
    } catch (RequestException | IOException | RuntimeException e) {
      fail(call, "read the checkpoint", e);
      return;
    }
    download(
        call,
        file,
        () -> {
          call.header("Content-Type", "application/octet-stream");
          call.header("Content-Disposition", "attachment; filename=\"%s-%s\"".formatted(id, name));
          call.header("Cache-Control", "no-store");
        });
  }

  /** Sends a file that does not go through memory. */
  private void download(HttpCall call, Path file, Runnable headers) throws IOException {
    if (!downloads.tryAcquire()) {
      call.header("Retry-After", "10");
      call.text(503, "%d downloads are active; try again later".formatted(MAX_DOWNLOADS));
      return;
    }
    try {
      headers.run();
      call.sendFile(file);
    } finally {
      downloads.release();
    }
  }

  /** A call whose response is JSON. */
  @FunctionalInterface
  private interface Work {
    String run() throws Exception;
  }

  private void answer(HttpCall call, String what, Work work) throws IOException {
    String json;
    try {
      json = work.run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } catch (Exception e) {
      fail(call, what, e);
      return;
    }
    json(call, json);
  }

  private static <T extends Message.Builder> T read(HttpCall call, T request) {
    RunJson.read(call.body(), request);
    return request;
  }

  private static <T> T await(CompletableFuture<T> future) throws Exception {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    } finally {
      future.cancel(false);
    }
  }

  private static ListRunsRequest page(String query) {
    ListRunsRequest.Builder request = ListRunsRequest.newBuilder();
    Matcher size = PAGE_SIZE.matcher(query);
    if (size.find()) {
      request.setPageSize(Integer.parseInt(size.group(1)));
    }
    Matcher token = PAGE_TOKEN.matcher(query);
    if (token.find()) {
      request.setPageToken(token.group(1));
    }
    return request.build();
  }

  private void json(HttpCall call, String json) throws IOException {
    byte[] body = (json + "\n").getBytes(StandardCharsets.UTF_8);
    ResponseBudget.Share share = calls.budget().share(call.connection());
    if (!share.acquire(body.length)) {
      fail(call, "send the response", ResponseBudget.exhausted(body.length));
      return;
    }
    jsonHeaders(call);
    call.send(200, body.length, out -> out.write(body), share::release);
  }

  private static void jsonHeaders(HttpCall call) {
    call.header("Content-Type", "application/json");
    call.header("Cache-Control", "no-store");
  }

  /** A failure as JSON of google.rpc.Status, with the violations of fields. */
  private static void fail(HttpCall call, String what, Exception failure) throws IOException {
    StatusRuntimeException status = RunCalls.toStatus(what, failure);
    int code =
        switch (status.getStatus().getCode()) {
          case INVALID_ARGUMENT -> 400;
          case PERMISSION_DENIED -> 403;
          case NOT_FOUND -> 404;
          case FAILED_PRECONDITION, ALREADY_EXISTS -> 409;
          case RESOURCE_EXHAUSTED -> 429;
          case UNAVAILABLE, CANCELLED -> 503;
          default -> 500;
        };
    if (code == 429 || code == 503) {
      call.header("Retry-After", "60");
    }
    jsonHeaders(call);
    String json =
        RunJson.of(StatusProto.fromStatusAndTrailers(status.getStatus(), status.getTrailers()));
    call.send(code, (json + "\n").getBytes(StandardCharsets.UTF_8));
  }
}
