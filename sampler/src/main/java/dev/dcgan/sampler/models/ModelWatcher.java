package dev.dcgan.sampler.models;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.server.Threads;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Looks after the models in a repository: puts the newest valid version of each in service, or the
 * one that is pinned, and fetches others when they are asked for.
 *
 * <p>All work is done by one thread, so a slow disk or a large model delays no request for a
 * version in memory. A version that is not what it should be is reported once, and tried again only
 * when its files have changed; one that failed for any other reason, as where memory was short, is
 * tried again after longer and longer times, and reported when the reason is new. Either way the
 * versions before it get their turn. A version in service that vanishes from the disk is served on.
 */
public final class ModelWatcher implements VersionSource, AutoCloseable {

  /**
   * What to look after.
   *
   * @param names the models; empty: all that there are
   * @param keepVersions of each model in memory, 1 or more
   * @param onDemandBytes what versions that are fetched on demand may take together
   * @param copies of a version's weights in memory
   * @param allowPin whether callers may pin a version
   * @param allowUnverified whether to serve versions without a manifest
   */
  public record Config(
      ModelRepository repository,
      List<String> names,
      Duration poll,
      int keepVersions,
      long onDemandBytes,
      int copies,
      boolean allowPin,
      boolean allowUnverified) {

    public Config {
      names = List.copyOf(names);
      if (keepVersions < 1) {
        throw new IllegalArgumentException(
            "%d versions to keep; expected 1 or more".formatted(keepVersions));
      }
    }
  }

  /** Makes a version ready to serve. */
  public interface Loader {
    ServedVersion load(ModelBundle bundle) throws IOException;
  }

  /** Hears what becomes of the versions found. Called on the watcher's thread. */
  public interface Listener {
    /** New requests get this version from now on; {@code before} is what they got, if any. */
    void serving(ServedVersion model, @Nullable ServedVersion before);

    /** A version was skipped; called once for each reason. */
    void rejected(String model);

    /** A version was fetched that a caller named. */
    void fetched();

    /** So many versions are in memory. */
    void inMemory(int versions);

    /** The newest version that there is, valid or not, and the one that is pinned; 0: none. */
    void onDisk(String model, long newest, long pinned);
  }

  private final Config config;
  private final Listener listener;
  private final ModelRegistry models;
  private final ModelReconciler keeper; // The thread's own.
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(Threads.named("model-watcher"));

  // Mutable state
  private volatile boolean looking = true;

  /** A watcher of models whose device nobody else looks after. */
  public ModelWatcher(Config config, Loader loader, Listener listener) {
    this(config, loader, listener, new DeviceHealth(), System::nanoTime);
  }

  /**
   * Does nothing before {@link #start}.
   *
   * @param health hears of a lost device; then nothing is loaded any more
   * @param nanoClock for the time between attempts to load a version
   */
  public ModelWatcher(
      Config config,
      Loader loader,
      Listener listener,
      DeviceHealth health,
      LongSupplier nanoClock) {
    this.config = config;
    this.listener = listener;
    this.models = new ModelRegistry(config.keepVersions, config.onDemandBytes, config.copies, this);
    this.keeper = new ModelReconciler(config, loader, models, listener, health, nanoClock);
  }

  /** What is served; the caller's to close, after this. */
  public ModelRegistry models() {
    return models;
  }

  /**
   * Starts to look, now and then every {@code poll}.
   *
   * @param ready called after each look that leaves all models served that were named or, where
   *     none was, at least one
   */
  public void start(Runnable ready) {
    var unused =
        thread.scheduleWithFixedDelay(
            () -> {
              if (looking && keeper.look()) {
                ready.run();
              }
            },
            0,
            config.poll.toNanos(),
            TimeUnit.NANOSECONDS);
  }

  /** Changes nothing any more of itself; versions are still fetched for those who name them. */
  public void stopLooking() {
    looking = false;
  }

  /** Stops to look and to fetch; does not wait for a version that is being loaded. */
  @Override
  public void close() {
    thread.shutdown();
  }

  /** Waits until nothing is being loaded any more; false if that took longer than {@code limit}. */
  public boolean awaitClosed(Duration limit) throws InterruptedException {
    return thread.awaitTermination(limit.toNanos(), TimeUnit.NANOSECONDS);
  }

  @Override
  public void fetch(String model, long version) {
    try {
      thread.execute(() -> keeper.fetch(model, version));
    } catch (RejectedExecutionException e) {
      models.notFetched(model, version, ending());
    }
  }

  @Override
  public CompletableFuture<ModelBundle> open(String model, long version) {
    return submit(() -> keeper.open(model, version));
  }

  @Override
  public CompletableFuture<Long> setServing(String model, long version) {
    if (!config.allowPin) {
      return CompletableFuture.failedFuture(
          new NotServedException(
              Why.FORBIDDEN,
              "callers of this sampler may not choose versions: start it with --allow-pin"));
    }
    return submit(
        () -> {
          if (version == 0) {
            keeper.unpin(model);
          } else {
            keeper.pin(model, version);
          }
          listener.inMemory(models.loaded());
          return models.serving(model);
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
      done.completeExceptionally(ending());
    }
    return done;
  }

  private static NotServedException ending() {
    return new NotServedException(Why.UNAVAILABLE, "the sampler is ending; try another");
  }
}
