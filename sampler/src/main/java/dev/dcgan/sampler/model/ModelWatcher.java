package dev.dcgan.sampler.model;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.model.NotServedException.Why;
import dev.dcgan.server.Threads;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks after the models in a repository: puts the newest valid version of each in service, or the
 * one that is pinned, and fetches others when they are asked for.
 *
 * <p>All work is done by one thread, so a slow disk or a large model delays no request for a
 * version in memory. A version that is not what it should be is reported once, and tried again only
 * when its files have changed; one that failed for any other reason is tried at every look, and
 * reported when the reason is new. Either way the versions before it get their turn. A version in
 * service that vanishes from the disk is served on.
 */
public final class ModelWatcher implements Shelf, AutoCloseable {

  /**
   * What to look after.
   *
   * @param names the models; empty: all that there are
   * @param keepVersions of each model in memory, 1 or more
   * @param onDemandBytes what versions that are fetched on demand may take together
   * @param sessions that run each version
   * @param allowPin whether callers may pin a version
   * @param allowUnverified whether to serve versions without a manifest
   */
  public record Config(
      ModelRepository repository,
      List<String> names,
      Duration poll,
      int keepVersions,
      long onDemandBytes,
      int sessions,
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
    LoadedModel load(ModelBundle bundle) throws IOException;
  }

  /** Hears what becomes of the versions found. Called on the watcher's thread. */
  public interface Listener {
    /** New requests get this version from now on; {@code before} is what they got, if any. */
    void serving(LoadedModel model, @Nullable LoadedModel before);

    /** A version was skipped; called once for each reason. */
    void rejected();

    /** A version was fetched that a caller named. */
    void fetched();

    /** So many versions are in memory. */
    void inMemory(int versions);

    /** The version that is pinned; 0: none. */
    void pinned(String model, long version);
  }

  private static final Logger log = LoggerFactory.getLogger(ModelWatcher.class);
  private static final Duration LONGEST_CLOSING = Duration.ofSeconds(30);

  private final Config config;
  private final ModelRepository repository;
  private final VersionLoader loader;
  private final Listener listener;
  private final Models models;
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(Threads.named("model-watcher"));

  // Mutable state, the thread's own
  private final Set<String> known;
  private final Map<String, LoadedModel> serving = new HashMap<>();
  private final Map<String, Long> pins = new HashMap<>();
  private Set<String> troubles = new HashSet<>();
  private Set<String> lastTroubles = Set.of();

  /** Does nothing before {@link #start}. */
  public ModelWatcher(Config config, Loader loader, Listener listener) {
    this.config = config;
    this.repository = config.repository;
    this.loader =
        new VersionLoader(repository, config.allowUnverified, loader::load, listener::rejected);
    this.listener = listener;
    this.models = new Models(config.keepVersions, config.onDemandBytes, config.sessions, this);
    this.known = new TreeSet<>(config.names);
  }

  /** What is served; the caller's to close, after this. */
  public Models models() {
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
            () -> look(ready), 0, config.poll.toNanos(), TimeUnit.NANOSECONDS);
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
      thread.execute(() -> fetchNow(model, version));
    } catch (RejectedExecutionException e) {
      models.notFetched(model, version, ending());
    }
  }

  @Override
  public CompletableFuture<ModelBundle> open(String model, long version) {
    return submit(
        () -> {
          try {
            return loader.open(model, version, meanwhile(model));
          } catch (InvalidModelException e) {
            throw unusable(Why.NOT_FOUND, model, version, e);
          } catch (IOException | UncheckedIOException e) {
            throw unavailable(model, version, e);
          }
        });
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
            unpin(model);
          } else {
            pin(model, version);
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

  private void look(Runnable ready) {
    lastTroubles = troubles;
    troubles = new HashSet<>();
    guarded(this::findModels);
    known.forEach(name -> guarded(() -> lookAt(name)));
    // Once all are served: what is kept besides can wait.
    known.forEach(name -> guarded(() -> keepNewest(name)));
    listener.inMemory(models.loaded());
    if (config.names.isEmpty() ? !serving.isEmpty() : serving.keySet().containsAll(known)) {
      ready.run();
    }
  }

  private interface Step {
    void run() throws IOException;
  }

  private void guarded(Step step) {
    try {
      step.run();
    } catch (IOException | UncheckedIOException e) {
      report("cannot read the repository %s: %s".formatted(repository.root(), e.getMessage()), e);
    } catch (RuntimeException | Error e) {
      // An exception would end the schedule, and with it every later version.
      report("the look for newer models failed", e);
    }
  }

  private void findModels() throws IOException {
    if (config.names.isEmpty()) {
      known.addAll(repository.models());
      if (known.isEmpty()) {
        report("%s holds no model yet: waiting for one".formatted(repository.root()), null);
      }
    }
  }

  private void lookAt(String model) throws IOException {
    List<Long> versions = repository.versions(model);
    if (versions.isEmpty()) {
      report(
          "%s holds no version of %s: %s"
              .formatted(
                  repository.root(),
                  model,
                  serving.containsKey(model) ? meanwhile(model) : "waiting for one"),
          null);
      return;
    }
    readPin(model);
    choose(model, versions);
    seen(model, versions);
  }

  private void choose(String model, List<Long> versions) {
    long pinned = pins.getOrDefault(model, 0L);
    if (pinned != 0) {
      if (models.serving(model) == pinned
          || (versions.contains(pinned) && tryToServe(model, pinned))) {
        return;
      }
      warn(
          "%s is pinned to version %d, which %s: %s"
              .formatted(
                  model,
                  pinned,
                  versions.contains(pinned) ? "cannot be used" : "is not there",
                  meanwhile(model)));
      if (serving.containsKey(model)) {
        return;
      }
    }
    for (long version : versions) {
      if (version <= models.serving(model) || tryToServe(model, version)) {
        return;
      }
    }
  }

  /** A pin that cannot be read changes nothing. */
  private void readPin(String model) {
    try {
      OptionalLong found = repository.pinned(model);
      long pinned = found.orElse(0);
      Long before = pinned == 0 ? pins.remove(model) : pins.put(model, pinned);
      if ((before == null ? 0 : before) != pinned) {
        if (pinned == 0) {
          log.info("{} is pinned no more: the newest valid version is served", model);
        } else {
          log.info("{} is pinned to version {}", model, pinned);
        }
      }
    } catch (IOException e) {
      report("%s goes on as before: %s".formatted(model, e.getMessage()), e);
    }
  }

  private boolean tryToServe(String model, long version) {
    return attempt(
        model,
        version,
        () -> {
          LoadedModel found = models.serve(model, version);
          if (found != null) {
            nowServing(found);
          } else {
            serve(load(model, version));
          }
        });
  }

  private boolean attempt(String model, long version, Step step) {
    try {
      step.run();
      return true;
    } catch (InvalidModelException e) {
      return false; // The loader has told.
    } catch (IOException | RuntimeException | Error e) {
      if (report("skipped %s/%d for now: %s".formatted(model, version, e), e)) {
        listener.rejected();
      }
      return false;
    }
  }

  private LoadedModel load(String model, long version) throws IOException {
    return loader.load(loader.open(model, version, meanwhile(model)), meanwhile(model));
  }

  private void serve(LoadedModel loaded) {
    if (models.serve(loaded)) {
      nowServing(loaded);
    }
  }

  private void nowServing(LoadedModel loaded) {
    LoadedModel before = serving.put(loaded.version().getName(), loaded);
    log.info("serving {} on {}", loaded, loaded.provider());
    listener.serving(loaded, before);
  }

  /** Loads the newest valid versions besides the one in service, as many as are to be kept. */
  private void keepNewest(String model) throws IOException {
    int others = config.keepVersions - 1;
    if (others == 0 || !serving.containsKey(model)) {
      return;
    }
    List<Long> versions = repository.versions(model);
    for (long version : versions) {
      if (others > 0
          && version != models.serving(model)
          && (models.keep(model, version)
              || attempt(model, version, () -> models.keep(load(model, version))))) {
        others--;
      }
    }
    seen(model, versions);
  }

  /** Tells what is on disk; nothing there: the disk is gone, not the models. */
  private void seen(String model, List<Long> versions) {
    if (!versions.isEmpty()) {
      long pinned = pins.getOrDefault(model, 0L);
      models.seen(model, versions, loader.invalid(model, versions), pinned);
      listener.pinned(model, pinned);
    }
  }

  private void fetchNow(String model, long version) {
    if (!models.isAwaited(model, version)) {
      return;
    }
    try {
      if (models.holds(model, version)) {
        models.handOut(model, version);
        return;
      }
      ModelBundle bundle = loader.open(model, version, meanwhile(model));
      for (LoadedModel evicted : models.makeRoom(bundle.manifest())) {
        log.info("{} makes room for {}", evicted, bundle);
        boolean unused = evicted.awaitClosed(LONGEST_CLOSING);
      }
      LoadedModel loaded = loader.load(bundle, meanwhile(model));
      log.info("loaded {} on demand", loaded);
      models.fetched(loaded);
      listener.fetched();
    } catch (NotServedException e) {
      models.notFetched(model, version, e);
    } catch (InvalidModelException e) {
      models.notFetched(model, version, unusable(Why.NOT_FOUND, model, version, e));
      guarded(() -> seen(model, repository.versions(model)));
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      models.notFetched(model, version, unavailable(model, version, e));
    }
    listener.inMemory(models.loaded());
  }

  private void pin(String model, long version) throws NotServedException {
    List<Long> versions;
    LoadedModel fresh = null;
    try {
      versions = repository.versions(model);
      if (!versions.contains(version)) {
        throw new NotServedException(
            Why.NOT_FOUND,
            "version %s of %s is not in the repository"
                .formatted(Long.toUnsignedString(version), model));
      }
      if (!models.holds(model, version)) {
        fresh = load(model, version);
      }
    } catch (InvalidModelException e) {
      throw unusable(Why.WRONG_STATE, model, version, e);
    } catch (IOException | UncheckedIOException e) {
      throw unavailable(model, version, e);
    }
    try {
      repository.pin(model, version);
    } catch (IOException e) {
      if (fresh != null) {
        fresh.release();
      }
      throw cannotWrite(model, e);
    }
    pins.put(model, version);
    log.info("{} is pinned to version {}", model, version);
    if (fresh != null) {
      serve(fresh);
    } else if (models.serving(model) != version) {
      tryToServe(model, version);
    }
    seen(model, versions);
  }

  private void unpin(String model) throws NotServedException {
    try {
      repository.unpin(model);
    } catch (IOException e) {
      throw cannotWrite(model, e);
    }
    guarded(() -> lookAt(model));
  }

  private NotServedException cannotWrite(String model, IOException e) {
    return new NotServedException(
        Why.WRONG_STATE,
        "the version was not changed: %s/%s cannot be written: %s"
            .formatted(repository.root(), model, e));
  }

  private static NotServedException unusable(
      Why why, String model, long version, InvalidModelException e) {
    return new NotServedException(
        why, "version %d of %s cannot be used: %s".formatted(version, model, e.getMessage()));
  }

  private static NotServedException unavailable(String model, long version, Throwable e) {
    log.error("{}/{} could not be loaded", model, version, e);
    return new NotServedException(
        Why.UNAVAILABLE,
        "version %d of %s could not be loaded; try again later, the server's log has the cause"
            .formatted(version, model));
  }

  private static NotServedException ending() {
    return new NotServedException(Why.UNAVAILABLE, "the sampler is ending; try another");
  }

  /** What calls get while a version is skipped. */
  private String meanwhile(String model) {
    LoadedModel loaded = serving.get(model);
    return loaded == null ? "nothing is served" : "still serving " + loaded;
  }

  private void warn(String trouble) {
    if (isNew(trouble)) {
      log.warn("{}", trouble);
    }
  }

  /** Logs a trouble, and returns true, unless the last look had it too. */
  private boolean report(String trouble, @Nullable Throwable cause) {
    if (!isNew(trouble)) {
      return false;
    }
    if (cause == null) {
      log.info("{}", trouble);
    } else if (cause instanceof IOException || cause instanceof UncheckedIOException) {
      log.error("{}", trouble);
    } else {
      log.error("{}", trouble, cause);
    }
    return true;
  }

  private boolean isNew(String trouble) {
    return troubles.add(trouble) && !lastTroubles.contains(trouble);
  }
}
