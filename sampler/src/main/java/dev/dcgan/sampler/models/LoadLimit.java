package dev.dcgan.sampler.models;

import dev.dcgan.sampler.runtime.LoaderThread;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/**
 * Limits the time that loading a version may take. Each load has a thread of its own. After the
 * limit the load has failed, its runs are terminated, and the caller goes on. A thread that does
 * not end, because ONNX Runtime cannot be interrupted while it opens a file, is counted: its
 * version is not loaded again while it runs, and no more than {@value #MAX_OVERDUE} are left
 * behind. Not thread-safe.
 */
final class LoadLimit {

  static final int MAX_OVERDUE = 4;

  /** Loads something. */
  interface Load<T> {
    T run() throws IOException;
  }

  private final Duration limit;

  // Mutable state
  private final Map<VersionLoader.Id, LoaderThread> overdue = new HashMap<>();

  /**
   * A limit for each load.
   *
   * @param limit zero: none
   */
  LoadLimit(Duration limit) {
    this.limit = limit;
  }

  /** The loads that have exceeded the limit and have not ended. */
  int overdue() {
    overdue.values().removeIf(thread -> !thread.isAlive());
    return overdue.size();
  }

  /**
   * Loads a version.
   *
   * @param discard releases what a load returns after the limit
   * @throws IOException the load has failed, or takes longer than the limit
   */
  <T> T run(VersionLoader.Id id, Load<T> load, Consumer<T> discard) throws IOException {
    if (limit.isZero()) {
      return load.run();
    }
    requireFree(id);
    CompletableFuture<T> done = new CompletableFuture<>();
    LoaderThread thread =
        new LoaderThread("model-loader " + id, () -> complete(done, load, discard));
    thread.start();
    try {
      return done.get(limit.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      IOException failure =
          new IOException(
              "loading %s takes longer than %s s; raise --load-timeout if the disk or the model is slow"
                  .formatted(id, limit.toMillis() / 1000.0));
      if (done.completeExceptionally(failure)) {
        overdue.put(id, thread);
        thread.terminateRuns();
        throw failure;
      }
      return result(done); // It has ended just now.
    } catch (ExecutionException e) {
      throw failure(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException("the model watcher must not be interrupted", e);
    }
  }

  private void requireFree(VersionLoader.Id id) throws IOException {
    int running = overdue();
    if (overdue.containsKey(id)) {
      throw new IOException(
          "loading %s took longer than %s s and has not ended; it is tried again afterwards"
              .formatted(id, limit.toMillis() / 1000.0));
    }
    if (running >= MAX_OVERDUE) {
      throw new IOException(
          "cannot load %s: %d other loads took longer than %s s and have not ended; remove their versions and restart the sampler"
              .formatted(id, running, limit.toMillis() / 1000.0));
    }
  }

  private static <T> void complete(CompletableFuture<T> done, Load<T> load, Consumer<T> discard) {
    T result;
    try {
      result = load.run();
    } catch (IOException | RuntimeException | Error e) {
      done.completeExceptionally(e);
      return;
    }
    if (!done.complete(result)) {
      discard.accept(result);
    }
  }

  private static <T> T result(CompletableFuture<T> done) throws IOException {
    try {
      return done.get();
    } catch (ExecutionException e) {
      throw failure(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException("the model watcher must not be interrupted", e);
    }
  }

  private static IOException failure(ExecutionException e) {
    Throwable cause = e.getCause();
    if (cause instanceof RuntimeException fault) {
      throw fault;
    }
    if (cause instanceof Error error) {
      throw error;
    }
    return cause instanceof IOException failure ? failure : new IOException(cause);
  }
}
