package dev.dcgan.sampler.model;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.server.Threads;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks for newer versions of one model, and puts the newest valid one in service.
 *
 * <p>All work is done by one thread, so a slow disk or a large model delays no request. A version
 * that is not what it should be is reported once, and tried again only when its files have changed;
 * one that failed for any other reason is tried at every look, and reported when the reason is new.
 * Either way the versions before it get their turn.
 */
public final class ModelWatcher implements AutoCloseable {

  /** Makes a version ready to serve. */
  public interface Loader {
    LoadedModel load(ModelBundle bundle) throws IOException;
  }

  /** Hears what becomes of the versions found. Called on the watcher's thread. */
  public interface Listener {
    /** New requests get this version from now on. */
    void serving(LoadedModel model);

    /** A version was skipped; called once for each reason. */
    void rejected();
  }

  private static final Logger log = LoggerFactory.getLogger(ModelWatcher.class);

  private final ModelRepository repository;
  private final Loader loader;
  private final ActiveModel active;
  private final Listener listener;
  private final ScheduledExecutorService thread =
      Executors.newSingleThreadScheduledExecutor(Threads.named("model-watcher"));

  // Mutable state, the thread's own
  private @Nullable String model;
  private long serving;
  private final Map<Long, String> rejected = new HashMap<>();
  private Set<String> troubles = new HashSet<>();
  private Set<String> lastTroubles = Set.of();

  private ModelWatcher(
      ModelRepository repository,
      @Nullable String model,
      Loader loader,
      ActiveModel active,
      Listener listener) {
    this.repository = repository;
    this.model = model;
    this.loader = loader;
    this.active = active;
    this.listener = listener;
  }

  /**
   * Starts to look, now and then every {@code poll}.
   *
   * @param model null: the only one in the repository, once there is exactly one
   */
  public static ModelWatcher start(
      ModelRepository repository,
      @Nullable String model,
      Duration poll,
      Loader loader,
      ActiveModel active,
      Listener listener) {
    ModelWatcher watcher = new ModelWatcher(repository, model, loader, active, listener);
    var unused =
        watcher.thread.scheduleWithFixedDelay(
            watcher::look, 0, poll.toNanos(), TimeUnit.NANOSECONDS);
    return watcher;
  }

  /** Stops to look; does not wait for a version that is being loaded. */
  @Override
  public void close() {
    thread.shutdown();
  }

  /** Waits until nothing is being loaded any more; false if that took longer than {@code limit}. */
  public boolean awaitClosed(Duration limit) throws InterruptedException {
    return thread.awaitTermination(limit.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void look() {
    lastTroubles = troubles;
    troubles = new HashSet<>();
    try {
      String name = model != null ? model : chooseModel();
      if (name != null) {
        lookForNewer(name);
      }
    } catch (IOException | UncheckedIOException e) {
      report("cannot read the repository %s: %s".formatted(repository.root(), e.getMessage()), e);
    } catch (RuntimeException | Error e) {
      // An exception would end the schedule, and with it every later version.
      report("the look for newer models failed", e);
    }
  }

  private @Nullable String chooseModel() throws IOException {
    List<String> names = repository.models();
    if (names.size() == 1) {
      model = names.get(0);
      return model;
    }
    report(
        names.isEmpty()
            ? "%s holds no model yet: waiting for one".formatted(repository.root())
            : "%s holds several models %s: say which with --model"
                .formatted(repository.root(), names),
        null);
    return null;
  }

  private void lookForNewer(String name) throws IOException {
    List<Long> versions = repository.versions(name);
    if (versions.isEmpty()) {
      report(
          "%s holds no version of %s: %s"
              .formatted(
                  repository.root(), name, serving == 0 ? "waiting for one" : insteadServing(name)),
          null);
    }
    for (long version : versions) {
      if (version <= serving || tryVersion(name, version)) {
        return;
      }
    }
  }

  private boolean tryVersion(String name, long version) {
    try {
      String fingerprint = fingerprint(repository.root().resolve(name).resolve("" + version));
      return !fingerprint.equals(rejected.get(version)) && serve(name, version, fingerprint);
    } catch (IOException | RuntimeException | Error e) {
      if (report("skipped %s/%d for now: %s".formatted(name, version, e), e)) {
        listener.rejected();
      }
      return false;
    }
  }

  private boolean serve(String name, long version, String fingerprint) throws IOException {
    try {
      LoadedModel loaded = loader.load(repository.open(name, version));
      if (active.swap(loaded)) {
        serving = version;
        rejected.keySet().removeIf(older -> older <= version);
        log.info("serving {} on {}", loaded, loaded.provider());
        listener.serving(loaded);
      }
      return true;
    } catch (InvalidModelException e) {
      rejected.put(version, fingerprint);
      listener.rejected();
      log.error("skipped {}/{}, {}: {}", name, version, insteadServing(name), e.getMessage());
      return false;
    }
  }

  private String insteadServing(String name) {
    return serving == 0 ? "nothing is served" : "still serving %s/%d".formatted(name, serving);
  }

  /** Logs a trouble, and returns true, unless the last look had it too. */
  private boolean report(String trouble, @Nullable Throwable cause) {
    troubles.add(trouble);
    if (lastTroubles.contains(trouble)) {
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

  /** Changes when a file of the version does. */
  private static String fingerprint(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().map(ModelWatcher::sizeAndTime).collect(Collectors.joining(";"));
    }
  }

  private static String sizeAndTime(Path file) {
    try {
      return "%s %d %s"
          .formatted(file.getFileName(), Files.size(file), Files.getLastModifiedTime(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
