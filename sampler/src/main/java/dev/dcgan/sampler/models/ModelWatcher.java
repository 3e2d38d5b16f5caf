package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.server.Threads;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Watches a model repository: puts the newest valid version of each model in service, or the pinned
 * one, and loads other versions on demand.
 *
 * <p>All work is done by one thread, so a slow disk or a large model delays no request for a
 * version in memory. It waits for each version that is being loaded, up to a time limit. An invalid
 * version is reported once, and tried again only after its files have changed. A version that
 * failed for any other reason, such as a lack of memory, is tried again with exponential backoff,
 * and reported when the reason changes. In both cases older versions are tried next. A version in
 * service that vanishes from the disk stays in service.
 */
public final class ModelWatcher implements VersionSource, AutoCloseable {

  private final ModelWatcherConfig config;
  private final ModelListener listener;
  private final ModelRegistry models;
  private final ModelReconciler reconciler; // Confined to the thread.
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(Threads.named("model-watcher"));

  // Mutable state
  private volatile boolean polling = true;

  /** A watcher whose device health nobody observes. */
  public ModelWatcher(ModelWatcherConfig config, VersionFactory factory, ModelListener listener) {
    this(config, factory, listener, new DeviceHealth(), System::nanoTime);
  }

  /**
   * A watcher that does nothing before {@link #start}.
   *
   * @param health receives the loss of a device; then nothing is loaded any more
   * @param nanoClock for the backoff between attempts to load a version
   */
  public ModelWatcher(
      ModelWatcherConfig config,
      VersionFactory factory,
      ModelListener listener,
      DeviceHealth health,
      LongSupplier nanoClock) {
    this.config = config;
    this.listener = listener;
    this.models =
        new ModelRegistry(config.keepVersions(), config.onDemandBytes(), config.copies(), this);
    this.reconciler = new ModelReconciler(config, factory, models, listener, health, nanoClock);
  }

  /** The served models; the caller closes them, after this watcher. */
  public ModelRegistry models() {
    return models;
  }

  /**
   * Starts to poll the repository, now and then every {@link ModelWatcherConfig#poll}.
   *
   * @param ready called after each look at which all named models are served or, if none was named,
   *     at least one model
   */
  public void start(Runnable ready) {
    var unused =
        thread.scheduleWithFixedDelay(
            () -> {
              if (polling && reconciler.reconcile()) {
                ready.run();
              }
            },
            0,
            config.poll().toNanos(),
            TimeUnit.NANOSECONDS);
  }

  /** Stops polling; versions are still loaded on demand. */
  public void stopPolling() {
    polling = false;
  }

  /** Stops polling and loading; does not wait for a version that is being loaded. */
  @Override
  public void close() {
    thread.shutdown();
  }

  /** Waits until nothing is being loaded; false if that took longer than {@code limit}. */
  public boolean awaitClosed(Duration limit) throws InterruptedException {
    return thread.awaitTermination(limit.toNanos(), TimeUnit.NANOSECONDS);
  }

  @Override
  public void fetch(String model, long version) {
    try {
      thread.execute(() -> reconciler.fetch(model, version));
    } catch (RejectedExecutionException e) {
      models.fetchFailed(model, version, shuttingDown());
    }
  }

  @Override
  public CompletableFuture<ModelBundle> open(String model, long version) {
    return submit(() -> reconciler.open(model, version));
  }

  @Override
  public CompletableFuture<Long> setServing(String model, long version) {
    if (!config.allowPin()) {
      return CompletableFuture.failedFuture(
          new NotServedException(
              Why.FORBIDDEN,
              "cannot set the serving version: this sampler forbids it; start it with --allow-pin"));
    }
    return submit(
        () -> {
          if (version == 0) {
            reconciler.unpin(model);
          } else {
            reconciler.pin(model, version);
          }
          listener.inMemory(models.loadedVersions());
          return models.servingVersion(model);
        });
  }

  private interface Work<T> {
    T run() throws NotServedException;
  }

  private <T> CompletableFuture<T> submit(Work<T> work) {
    CompletableFuture<T> done = new CompletableFuture<>();
    try {
      thread.execute(
          () -> {
            try {
              done.complete(work.run());
            } catch (NotServedException | RuntimeException | Error e) {
              done.completeExceptionally(e);
            }
          });
    } catch (RejectedExecutionException e) {
      done.completeExceptionally(shuttingDown());
    }
    return done;
  }

  private static NotServedException shuttingDown() {
    return new NotServedException(
        Why.UNAVAILABLE, "this sampler is shutting down; call another replica");
  }
}
