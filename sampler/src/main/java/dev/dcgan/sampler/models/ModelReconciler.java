package dev.dcgan.sampler.models;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.model.RepositorySurvey;
import dev.dcgan.model.RepositorySurvey.Skipped;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import dev.dcgan.server.ErrorMessages;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
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

/**
 * Brings the versions in memory in line with those on disk; {@link ModelWatcher} confines it to its
 * thread.
 */
final class ModelReconciler {

  // Under this name scripts look for the line that says which version is in service.
  private static final Logger servingLog =
      LoggerFactory.getLogger("dev.dcgan.sampler.models.ModelWatcher");
  private static final Logger log = LoggerFactory.getLogger(ModelReconciler.class);
  private static final Duration MAX_CLOSING = Duration.ofSeconds(30);

  private final ModelWatcherConfig config;
  private final ModelRepository repository;
  private final VersionLoader loader;
  private final ModelRegistry models;
  private final DeviceHealth health;
  private final ModelListener listener;

  // Mutable state
  private final Set<String> known;
  private final Map<String, ServedVersion> serving = new HashMap<>();
  private final Map<String, Long> pins = new HashMap<>();
  private final LogOnChange problems = new LogOnChange();
  // Versions that this look could not load although they are not at fault, and why.
  private final Map<Path, String> failures = new HashMap<>();
  private RepositorySurvey survey = new RepositorySurvey(List.of(), List.of());

  ModelReconciler(
      ModelWatcherConfig config,
      VersionFactory factory,
      ModelRegistry models,
      ModelListener listener,
      DeviceHealth health,
      LongSupplier nanoClock) {
    this.config = config;
    this.repository = config.repository();
    this.models = models;
    this.health = health;
    this.loader =
        new VersionLoader(
            config,
            factory,
            listener,
            this::freeMemory,
            this::meanwhile,
            health,
            new LoadBackoff<>(config.poll(), nanoClock));
    this.listener = listener;
    this.known = new TreeSet<>(config.names());
  }

  /**
   * Looks at all models; true if all named models are served or, if none was named, at least one
   * model.
   */
  boolean reconcile() {
    if (health.isLost()) {
      return false;
    }
    problems.nextLook();
    failures.clear();
    loader.nextLook();
    reportErrors(this::findModels);
    known.forEach(name -> reportErrors(() -> reconcile(name)));
    // The versions to keep besides are loaded once all models are served.
    known.forEach(name -> reportErrors(() -> keepNewest(name)));
    reportErrors(() -> models.updateSkipped(skipped()));
    listener.inMemory(models.loadedVersions());
    listener.overdueLoads(loader.overdueLoads());
    return config.names().isEmpty() ? !serving.isEmpty() : serving.keySet().containsAll(known);
  }

  private interface Step {
    void run() throws IOException;
  }

  private void reportErrors(Step step) {
    try {
      step.run();
    } catch (IOException | UncheckedIOException e) {
      problems.error(
          "cannot read the repository %s: %s"
              .formatted(repository.root(), ErrorMessages.oneLine(e)),
          e);
    } catch (RuntimeException | Error e) {
      // An exception would end the polling, and with it every later version.
      problems.error("cannot look for newer models", e);
    }
  }

  private void findModels() throws IOException {
    try {
      survey = repository.survey();
    } catch (IOException e) {
      Skipped all =
          new Skipped(repository.root(), "cannot be read: " + ErrorMessages.oneLine(e), false);
      survey = new RepositorySurvey(List.of(), List.of(all));
      throw e;
    }
    if (config.names().isEmpty()) {
      known.addAll(repository.models());
      if (known.isEmpty()) {
        problems.info("%s holds no model yet: waiting for one".formatted(repository.root()));
      }
    }
    for (Skipped skipped : survey.skipped()) {
      // The loader reports versions, once their files have settled.
      if (!skipped.version() && concerns(skipped)) {
        problems.warn("skipped " + skipped);
      }
    }
  }

  /** Whether a skipped path is the repository or belongs to a model that is to be served. */
  private boolean concerns(Skipped skipped) {
    Path model = repository.root().relativize(skipped.path()).getName(0);
    return config.names().isEmpty()
        || model.toString().isEmpty()
        || config.names().contains(model.toString());
  }

  /** What this look does not serve, for callers. */
  private List<Skipped> skipped() {
    List<Skipped> all = new ArrayList<>();
    for (Skipped found : survey.skipped()) {
      if (concerns(found)) {
        all.add(forCallers(found.path(), found.reason(), found.version()));
      }
    }
    for (RepositorySurvey.Model model : survey.models()) {
      for (long version : model.versions()) {
        Path folder = folder(model.name(), version);
        String reason = loader.reason(model.name(), version);
        if (reason == null) {
          reason = failures.get(folder);
        }
        if (reason != null) {
          all.add(forCallers(folder, reason, true));
        }
      }
    }
    all.sort(Comparator.comparing(Skipped::path));
    return all;
  }

  private Path folder(String model, long version) {
    return repository.root().resolve(model).resolve(Long.toString(version));
  }

  private Skipped forCallers(Path path, String reason, boolean version) {
    Path relative = repository.root().relativize(path);
    String shown = LoadErrors.forCallers(repository.root(), reason);
    return relative.toString().isEmpty()
        ? new Skipped(Path.of("."), shown, version)
        : new Skipped(relative, shown.replace(relative + "/", ""), version);
  }

  private void reconcile(String model) throws IOException {
    List<Long> versions = repository.versions(model);
    if (versions.isEmpty()) {
      problems.info(
          "%s holds no version of %s: %s"
              .formatted(
                  repository.root(),
                  model,
                  serving.containsKey(model) ? meanwhile(model) : "waiting for one"));
      return;
    }
    readPin(model);
    chooseServing(model, versions);
    updateAvailable(model, versions);
  }

  private void chooseServing(String model, List<Long> versions) {
    long pinned = pins.getOrDefault(model, 0L);
    if (pinned != 0) {
      if (models.servingVersion(model) == pinned
          || (versions.contains(pinned) && tryToServe(model, pinned))) {
        return;
      }
      problems.warn(
          "cannot serve version %d of %s, to which it is pinned: the version %s: %s"
              .formatted(
                  pinned,
                  model,
                  versions.contains(pinned) ? "cannot be used" : "is not in the repository",
                  meanwhile(model)));
      if (serving.containsKey(model)) {
        return;
      }
    }
    for (long version : versions) {
      if (version <= models.servingVersion(model) || tryToServe(model, version)) {
        return;
      }
    }
  }

  /** Reads the model's pin; one that cannot be read changes nothing. */
  private void readPin(String model) {
    try {
      OptionalLong found = repository.pinned(model);
      long pinned = found.orElse(0);
      Long before = pinned == 0 ? pins.remove(model) : pins.put(model, pinned);
      if ((before == null ? 0 : before) != pinned) {
        if (pinned == 0) {
          log.info("{} is no longer pinned: the newest valid version is served", model);
        } else {
          log.info("{} is pinned to version {}", model, pinned);
        }
      }
    } catch (IOException e) {
      problems.error(
          "cannot read the pin of %s: %s; nothing changes"
              .formatted(model, ErrorMessages.oneLine(e)),
          e);
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
      return false; // The loader has logged it.
    } catch (LoadBackoff.TooEarlyException e) {
      problems.keep(problemKey(model, version, e.getCause()));
      failed(model, version, e.getCause());
      return false;
    } catch (IOException | RuntimeException | Error e) {
      if (health.isLost()) {
        return false; // It is logged, and the version is not at fault.
      }
      String summary = failed(model, version, e);
      String problem =
          "skipped %s/%d for now, %s: %s".formatted(model, version, meanwhile(model), summary);
      if (problems.error(problemKey(model, version, e), problem, e)) {
        listener.rejected(model);
      }
      return false;
    }
  }

  @CanIgnoreReturnValue
  private String failed(String model, long version, @Nullable Throwable e) {
    String summary = e == null ? "" : RuntimeFailure.of(e).summary();
    failures.put(folder(model, version), "cannot be loaded now: " + summary);
    return summary;
  }

  /** The same key for all attempts that fail alike: their messages may contain changing numbers. */
  private static String problemKey(String model, long version, @Nullable Throwable e) {
    Failure failure = e == null ? new Failure(Kind.FAULT, "") : RuntimeFailure.of(e);
    return "load %s/%d %s"
        .formatted(
            model,
            version,
            failure.kind() == Kind.OUT_OF_MEMORY ? failure.kind() : failure.summary());
  }

  /** Evicts all idle versions that were loaded on demand; false: there is none. */
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
    for (ServedVersion version : evicted) {
      boolean unused = version.awaitClosed(MAX_CLOSING);
    }
  }

  private ServedVersion load(String model, long version) throws IOException {
    return loader.load(loader.open(model, version));
  }

  private void serve(ServedVersion loaded) {
    if (models.serve(loaded)) {
      nowServing(loaded);
    }
  }

  private void nowServing(ServedVersion loaded) {
    ServedVersion before = serving.put(loaded.version().getName(), loaded);
    servingLog.info("serving {} on {}", loaded, loaded.provider());
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
          && version != models.servingVersion(model)
          && (models.keep(model, version)
              || attempt(model, version, () -> models.keep(load(model, version))))) {
        others--;
      }
    }
    updateAvailable(model, versions);
  }

  /** Records what is on disk. If there is nothing, the disk is gone rather than the models. */
  private void updateAvailable(String model, List<Long> versions) {
    if (!versions.isEmpty()) {
      long pinned = pins.getOrDefault(model, 0L);
      Map<Long, String> invalid = loader.invalid(model, versions);
      invalid.replaceAll((version, why) -> LoadErrors.forCallers(repository.root(), why));
      models.updateAvailable(model, versions, invalid, pinned);
      listener.onDisk(model, versions.get(0), pinned);
    }
  }

  /** Opens a version in order to describe it; cheap, because anyone may request it repeatedly. */
  ModelBundle open(String model, long version) throws NotServedException {
    try {
      return loader.open(model, version);
    } catch (InvalidModelException e) {
      throw invalid(Why.NOT_FOUND, model, version, e);
    } catch (IOException | UncheckedIOException e) {
      throw LoadErrors.unavailable(model, version, e);
    }
  }

  /** Loads a version on demand, if callers still wait for it. */
  void fetch(String model, long version) {
    if (!models.isAwaited(model, version)) {
      return;
    }
    try {
      if (models.isLoaded(model, version)) {
        models.completeWaiters(model, version);
        return;
      }
      ModelBundle bundle = loader.open(model, version);
      loader.requireDue(bundle);
      List<ServedVersion> evicted = models.makeRoom(bundle.manifest());
      evicted.forEach(gone -> log.info("evicted {}: {} needs its memory", gone, bundle));
      awaitClosed(evicted);
      ServedVersion loaded = loader.load(bundle);
      log.info("loaded {} on demand", loaded);
      models.fetched(loaded);
      listener.fetched();
    } catch (NotServedException e) {
      models.fetchFailed(model, version, e);
    } catch (InvalidModelException e) {
      models.fetchFailed(model, version, invalid(Why.NOT_FOUND, model, version, e));
      reportErrors(() -> updateAvailable(model, repository.versions(model)));
    } catch (IOException | InterruptedException | RuntimeException | Error e) {
      models.fetchFailed(model, version, LoadErrors.unavailable(model, version, e));
    }
    listener.inMemory(models.loadedVersions());
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
      if (!models.isLoaded(model, version)) {
        fresh = load(model, version);
      }
    } catch (InvalidModelException e) {
      throw invalid(Why.WRONG_STATE, model, version, e);
    } catch (IOException | UncheckedIOException | OutOfMemoryError e) {
      throw LoadErrors.unavailable(model, version, e);
    }
    try {
      repository.pin(model, version);
    } catch (IOException e) {
      if (fresh != null) {
        fresh.release();
      }
      throw LoadErrors.notPinned(repository.root(), model, e);
    }
    pins.put(model, version);
    log.info("{} is pinned to version {}", model, version);
    if (fresh != null) {
      serve(fresh);
    } else if (models.servingVersion(model) != version) {
      tryToServe(model, version);
    }
    updateAvailable(model, versions);
  }

  /** Removes the pin, and puts the newest valid version in service. */
  void unpin(String model) throws NotServedException {
    try {
      repository.unpin(model);
    } catch (IOException e) {
      throw LoadErrors.notPinned(repository.root(), model, e);
    }
    reportErrors(() -> reconcile(model));
  }

  private NotServedException invalid(Why why, String model, long version, InvalidModelException e) {
    return LoadErrors.invalid(repository.root(), why, model, version, e);
  }

  /** What callers get while a version is skipped. */
  private String meanwhile(String model) {
    ServedVersion loaded = serving.get(model);
    return loaded == null ? "no version of it is served" : "still serving " + loaded;
  }
}
