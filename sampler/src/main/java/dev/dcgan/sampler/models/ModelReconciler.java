package dev.dcgan.sampler.models;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a {@link ModelWatcher} does on its thread: from what is on disk to what is in memory. */
final class ModelReconciler {

  private static final Logger log = LoggerFactory.getLogger(ModelWatcher.class);
  private static final Duration LONGEST_CLOSING = Duration.ofSeconds(30);

  private final ModelWatcher.Config config;
  private final ModelRepository repository;
  private final VersionLoader loader;
  private final ModelRegistry models;
  private final DeviceHealth health;
  private final ModelWatcher.Listener listener;

  // Mutable state
  private final Set<String> known;
  private final Map<String, ServedVersion> serving = new HashMap<>();
  private final Map<String, Long> pins = new HashMap<>();
  private final LogOnChange troubles = new LogOnChange();

  ModelReconciler(
      ModelWatcher.Config config,
      ModelWatcher.Loader loader,
      ModelRegistry models,
      ModelWatcher.Listener listener,
      DeviceHealth health,
      LongSupplier nanoClock) {
    this.config = config;
    this.repository = config.repository();
    this.models = models;
    this.health = health;
    this.loader =
        new VersionLoader(
            repository,
            config.allowUnverified(),
            loader,
            listener::rejected,
            this::freeMemory,
            health,
            new LoadBackoff<>(config.poll(), nanoClock));
    this.listener = listener;
    this.known = new TreeSet<>(config.names());
  }

  /**
   * Looks at all models; true where all that were named are served or, where none was, at least
   * one.
   */
  boolean look() {
    if (health.isLost()) {
      return false;
    }
    troubles.nextLook();
    guarded(this::findModels);
    known.forEach(name -> guarded(() -> lookAt(name)));
    // Once all are served: what is kept besides can wait.
    known.forEach(name -> guarded(() -> keepNewest(name)));
    listener.inMemory(models.loaded());
    return config.names().isEmpty() ? !serving.isEmpty() : serving.keySet().containsAll(known);
  }

  private interface Step {
    void run() throws IOException;
  }

  private void guarded(Step step) {
    try {
      step.run();
    } catch (IOException | UncheckedIOException e) {
      troubles.report(
          "cannot read the repository %s: %s".formatted(repository.root(), ErrorMessages.oneLine(e)), e);
    } catch (RuntimeException | Error e) {
      // An exception would end the schedule, and with it every later version.
      troubles.report("the look for newer models failed", e);
    }
  }

  private void findModels() throws IOException {
    if (config.names().isEmpty()) {
      known.addAll(repository.models());
      if (known.isEmpty()) {
        troubles.inform("%s holds no model yet: waiting for one".formatted(repository.root()));
      }
    }
  }

  private void lookAt(String model) throws IOException {
    List<Long> versions = repository.versions(model);
    if (versions.isEmpty()) {
      troubles.inform(
          "%s holds no version of %s: %s"
              .formatted(
                  repository.root(),
                  model,
                  serving.containsKey(model) ? meanwhile(model) : "waiting for one"));
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
      troubles.warn(
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
      troubles.report("%s goes on as before: %s".formatted(model, ErrorMessages.oneLine(e)), e);
    }
  }

  private boolean tryToServe(String model, long version) {
    return attempt(
        model,
        version,
        () -> {
          ServedVersion found = models.serve(model, version);
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
    } catch (LoadBackoff.TooEarlyException e) {
      troubles.keep(troubleKey(model, version, e.getCause()));
      return false;
    } catch (IOException | RuntimeException | Error e) {
      if (health.isLost()) {
        return false; // The log has it, and no version is at fault.
      }
      String trouble =
          "skipped %s/%d for now, %s: %s"
              .formatted(model, version, meanwhile(model), RuntimeFailure.of(e).summary());
      if (troubles.report(troubleKey(model, version, e), trouble, e)) {
        listener.rejected(model);
      }
      return false;
    }
  }

  /** The same for all attempts that fail alike: their words may have figures of the moment. */
  private static String troubleKey(String model, long version, @Nullable Throwable e) {
    Failure failure = e == null ? new Failure(Kind.FAULT, "") : RuntimeFailure.of(e);
    return "load %s/%d %s"
        .formatted(
            model,
            version,
            failure.kind() == Kind.OUT_OF_MEMORY ? failure.kind() : failure.summary());
  }

  /** Lets all versions go that were fetched and that nobody uses; false: there is none. */
  private boolean freeMemory() {
    List<ServedVersion> evicted = models.evictIdle();
    try {
      awaitClosed(evicted);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return !evicted.isEmpty();
  }

  private static void awaitClosed(List<ServedVersion> evicted) throws InterruptedException {
    for (ServedVersion model : evicted) {
      boolean unused = model.awaitClosed(LONGEST_CLOSING);
    }
  }

  private ServedVersion load(String model, long version) throws IOException {
    return loader.load(loader.open(model, version, meanwhile(model)), meanwhile(model));
  }

  private void serve(ServedVersion loaded) {
    if (models.serve(loaded)) {
      nowServing(loaded);
    }
  }

  private void nowServing(ServedVersion loaded) {
    ServedVersion before = serving.put(loaded.version().getName(), loaded);
    log.info("serving {} on {}", loaded, loaded.provider());
    listener.serving(loaded, before);
  }

  /** Loads the newest valid versions besides the one in service, as many as are to be kept. */
  private void keepNewest(String model) throws IOException {
    int others = config.keepVersions() - 1;
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
      listener.onDisk(model, versions.get(0), pinned);
    }
  }

  /** Opens a version, to describe it; cheap enough to be asked for by anyone, again and again. */
  ModelBundle open(String model, long version) throws NotServedException {
    try {
      return loader.open(model, version, meanwhile(model));
    } catch (InvalidModelException e) {
      throw unusable(Why.NOT_FOUND, model, version, e);
    } catch (IOException | UncheckedIOException e) {
      throw unavailable(model, version, e);
    }
  }

  /** Fetches a version for those who wait for it, if they still do. */
  void fetch(String model, long version) {
    if (!models.isAwaited(model, version)) {
      return;
    }
    try {
      if (models.holds(model, version)) {
        models.handOut(model, version);
        return;
      }
      ModelBundle bundle = loader.open(model, version, meanwhile(model));
      loader.requireDue(bundle);
      List<ServedVersion> evicted = models.makeRoom(bundle.manifest());
      evicted.forEach(gone -> log.info("{} makes room for {}", gone, bundle));
      awaitClosed(evicted);
      ServedVersion loaded = loader.load(bundle, meanwhile(model));
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

  /** Puts a version in service and pins it, or changes nothing. */
  void pin(String model, long version) throws NotServedException {
    List<Long> versions;
    ServedVersion fresh = null;
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
    } catch (IOException | UncheckedIOException | OutOfMemoryError e) {
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

  /** Puts the newest valid version in service. */
  void unpin(String model) throws NotServedException {
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
    if (e instanceof NoSuchFileException) {
      return new NotServedException(
          Why.NOT_FOUND,
          "version %d of %s is not in the repository any more".formatted(version, model));
    }
    if (e instanceof LoadBackoff.TooEarlyException early) {
      // The log has what failed before.
      return new NotServedException(
          Why.UNAVAILABLE,
          "version %d of %s could not be loaded; try again in %d s, the server's log has the cause"
              .formatted(version, model, early.left().toSeconds() + 1));
    }
    Failure failure = RuntimeFailure.of(e);
    // Of the disk and the runtime the words say it all; anything else is a fault of this program.
    boolean expected =
        e instanceof IOException
            || e instanceof UncheckedIOException
            || failure.kind() != Kind.FAULT;
    log.error("cannot load {}/{}: {}", model, version, failure.summary(), expected ? null : e);
    return new NotServedException(
        Why.UNAVAILABLE,
        "version %d of %s could not be loaded; try again later, the server's log has the cause"
            .formatted(version, model));
  }

  /** What calls get while a version is skipped. */
  private String meanwhile(String model) {
    ServedVersion loaded = serving.get(model);
    return loaded == null ? "nothing is served" : "still serving " + loaded;
  }
}
