package dev.dcgan.sampler.models;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.RuntimeFailure;
import dev.dcgan.sampler.scheduling.DeviceHealth;
import dev.dcgan.sampler.scheduling.Failure;
import dev.dcgan.sampler.scheduling.Failure.Kind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens and loads versions. Invalid versions are rejected and remembered until their files change.
 * They are logged as errors and counted once, when their files have not changed for some looks at
 * the repository: until then they may be being copied. A model is read and verified when it is
 * loaded. A version without a manifest must be read to be opened; its description is cached until
 * its files change.
 *
 * <p>A version is not at fault, and not rejected, if memory is short or the device is lost, or if
 * loading takes too long ({@link LoadLimit}). It is loaded again after memory was freed, and then
 * with backoff ({@link LoadBackoff}).
 *
 * <p>A version that was loaded never comes back with another content, because clients may keep its
 * images forever: if its model.onnx is replaced it is rejected. Not thread-safe.
 */
final class VersionLoader {

  private static final Logger log = LoggerFactory.getLogger(VersionLoader.class);

  /** A version of a model. */
  record Id(String model, long version) {
    @Override
    public String toString() {
      return model + "/" + version;
    }
  }

  private static final int SETTLING_LOOKS = 2;

  /** A rejected version, since which look, and whether that was reported. */
  private record Rejected(String fingerprint, String reason, long look, boolean reported) {}

  private record Seen(String fingerprint, long look) {}

  /** The digest that a version was loaded with, and the state of its files checked last. */
  private record Loaded(String sha256, String checked, String changed) {}

  private record Unverified(String fingerprint, ModelBundle bundle) {}

  private final ModelRepository repository;
  private final ModelWatcherConfig config;
  private final VersionFactory factory;
  private final ModelListener listener;
  private final BooleanSupplier freeMemory;
  private final UnaryOperator<String> meanwhile;
  private final DeviceHealth health;
  private final LoadBackoff<Id> backoff;
  private final LoadLimit limit;

  // Mutable state
  private final Map<Id, Rejected> rejected = new HashMap<>();
  private final Map<Id, Unverified> unverified = new HashMap<>();
  private final Map<Id, Seen> bare = new HashMap<>();
  private final Map<Id, Loaded> loaded = new HashMap<>();
  private long look;

  /**
   * A loader that has rejected nothing yet.
   *
   * @param listener called for each version that is rejected or replaced
   * @param freeMemory evicts versions that nobody uses; false: there is none
   * @param meanwhile what is served of a model whose version is rejected, for the log
   * @param health receives the loss of a device
   * @param backoff between attempts to load a version that is not at fault
   */
  VersionLoader(
      ModelWatcherConfig config,
      VersionFactory factory,
      ModelListener listener,
      BooleanSupplier freeMemory,
      UnaryOperator<String> meanwhile,
      DeviceHealth health,
      LoadBackoff<Id> backoff) {
    this.repository = config.repository();
    this.config = config;
    this.factory = factory;
    this.listener = listener;
    this.freeMemory = freeMemory;
    this.meanwhile = meanwhile;
    this.health = health;
    this.backoff = backoff;
    this.limit = new LoadLimit(config.loadTimeout());
  }

  /** A new look at the repository begins. */
  void nextLook() {
    look++;
  }

  /**
   * Opens a version but does not load it: {@link #load} verifies its digest.
   *
   * @throws InvalidModelException it is rejected, now or since its files last changed
   */
  ModelBundle open(String model, long version) throws IOException {
    Id id = new Id(model, version);
    requireSettled(id);
    return attempt(
        id,
        fingerprint -> {
          ModelBundle bundle = read(model, version, fingerprint);
          requireSameContent(id, bundle.manifest().getModel().getSha256());
          return bundle;
        });
  }

  /**
   * Requires that a version without a manifest that appears while this program runs has not changed
   * since an earlier look: its files may be being copied, and the manifest comes last.
   */
  private void requireSettled(Id id) throws IOException {
    Seen seen = see(id);
    if (seen != null && seen.look == look && look > 1) {
      throw new InvalidModelException(
          id + " has no manifest.json and has just been copied; it is opened at the next look");
    }
  }

  /** Notes at which look a version without a manifest had its files first; null: it has none. */
  private @Nullable Seen see(Id id) throws IOException {
    if (!config.allowUnverified()
        || unverified.containsKey(id)
        || !repository.isBare(id.model, id.version)) {
      return null;
    }
    String fingerprint = fingerprint(id);
    Seen before = bare.get(id);
    if (before != null && before.fingerprint.equals(fingerprint)) {
      return before;
    }
    Seen now = new Seen(fingerprint, look);
    bare.put(id, now);
    return now;
  }

  private void requireSameContent(Id id, String sha256) throws InvalidModelException {
    Loaded before = loaded.get(id);
    if (before != null && !before.sha256.equals(sha256)) {
      throw replaced(id, before, sha256);
    }
  }

  private static InvalidModelException replaced(Id id, Loaded before, String sha256) {
    return new InvalidModelException(
        "%s was replaced on disk: it was loaded with SHA-256 %s; its files now have %s: publish a new version instead of changing one"
            .formatted(id, before.sha256, sha256));
  }

  /**
   * Loads a version that was opened; otherwise as {@link #open}.
   *
   * @throws LoadBackoff.TooEarlyException it failed a short time ago without being at fault
   */
  ServedVersion load(ModelBundle bundle) throws IOException {
    Id id = new Id(bundle.name(), bundle.version());
    return attempt(
        id,
        fingerprint -> {
          backoff.requireDue(id, fingerprint);
          try {
            ServedVersion version = loadFreeingMemory(bundle);
            backoff.succeeded(id);
            loaded.put(id, new Loaded(version.version().getSha256(), fingerprint, fingerprint));
            return version;
          } catch (InvalidModelException e) {
            throw e; // It is at fault and is not tried again.
          } catch (IOException | RuntimeException | Error e) {
            backoff.failed(id, fingerprint, e);
            throw e;
          }
        });
  }

  /** Requires that a version may be loaded now, before other versions are evicted for it. */
  void requireDue(ModelBundle bundle) throws IOException {
    Id id = new Id(bundle.name(), bundle.version());
    backoff.requireDue(id, fingerprint(id));
  }

  /** Loads a version; if memory is short, once more after idle versions were evicted. */
  private ServedVersion loadFreeingMemory(ModelBundle bundle) throws IOException {
    try {
      return loadOnce(bundle);
    } catch (IOException | OutOfMemoryError e) {
      if (RuntimeFailure.of(e).kind() != Kind.OUT_OF_MEMORY || !freeMemory.getAsBoolean()) {
        throw e;
      }
      return loadOnce(bundle);
    }
  }

  private ServedVersion loadOnce(ModelBundle bundle) throws IOException {
    if (health.isLost()) {
      throw new IOException("cannot load %s: the device is lost".formatted(bundle));
    }
    try {
      return limit.run(
          new Id(bundle.name(), bundle.version()),
          () -> factory.load(bundle),
          ServedVersion::release);
    } catch (IOException | RuntimeException | Error e) {
      Failure failure = RuntimeFailure.of(e);
      if (failure.kind() == Kind.DEVICE_LOST) {
        health.reportLost("cannot load %s: %s".formatted(bundle, failure.summary()));
      }
      if (health.isLost()) {
        // Any other error may be caused by the device.
        throw new IOException("cannot load %s: the device is lost".formatted(bundle), e);
      }
      throw e;
    }
  }

  /** The number of loads that have exceeded their time limit and have not ended. */
  int overdueLoads() {
    return limit.overdue();
  }

  /** The reasons why versions are rejected; forgets those whose files have changed or are gone. */
  Map<Long, String> invalid(String model, List<Long> versions) {
    unverified.keySet().removeIf(id -> id.model.equals(model) && !versions.contains(id.version));
    bare.keySet().removeIf(id -> id.model.equals(model) && !versions.contains(id.version));
    backoff.forget(id -> id.model.equals(model) && !versions.contains(id.version));
    rejected
        .entrySet()
        .removeIf(
            entry ->
                entry.getKey().model.equals(model)
                    && (!versions.contains(entry.getKey().version)
                        || hasChanged(entry.getKey(), entry.getValue())));
    versions.forEach(version -> inspect(new Id(model, version)));
    rejected.replaceAll((id, entry) -> id.model.equals(model) ? reportSettled(id, entry) : entry);
    Map<Long, String> invalid = new HashMap<>();
    rejected.forEach(
        (id, entry) -> {
          if (id.model.equals(model)) {
            invalid.put(id.version, entry.reason);
          }
        });
    return invalid;
  }

  /** Why a version is rejected; null: it is not. */
  @Nullable String reason(String model, long version) {
    Rejected entry = rejected.get(new Id(model, version));
    return entry == null ? null : entry.reason;
  }

  /** Notes what changes from look to look. */
  private void inspect(Id id) {
    try {
      var unused = see(id);
      Loaded before = loaded.get(id);
      if (before != null) {
        detectReplacement(id, before);
      }
    } catch (IOException | UncheckedIOException e) {
      log.debug("cannot inspect the files of {}: {}", id, e.toString());
    }
  }

  /** Digests the model of a version that was loaded, if its files have changed and settled. */
  private void detectReplacement(Id id, Loaded before) throws IOException {
    String now = fingerprint(id);
    if (now.equals(before.checked)) {
      return;
    }
    if (!now.equals(before.changed)) {
      loaded.put(id, new Loaded(before.sha256, before.checked, now));
      return;
    }
    String sha256 = repository.digest(id.model, id.version);
    loaded.put(id, new Loaded(before.sha256, now, now));
    if (!sha256.equals(before.sha256)) {
      String reason = String.valueOf(replaced(id, before, sha256).getMessage());
      log.error("{}; the version in memory stays as it was loaded", reason);
      rejected.put(id, new Rejected(now, reason, look, true));
      listener.rejected(id.model);
      listener.replaced(id.model);
    }
  }

  /** Logs and counts a rejected version once its files have not changed for some looks. */
  private Rejected reportSettled(Id id, Rejected entry) {
    if (entry.reported || look - entry.look < SETTLING_LOOKS) {
      return entry;
    }
    log.error("skipped {}, {}: {}", id, meanwhile.apply(id.model), entry.reason);
    listener.rejected(id.model);
    return new Rejected(entry.fingerprint, entry.reason, entry.look, true);
  }

  private interface Attempt<T> {
    T run(String fingerprint) throws IOException;
  }

  private <T> T attempt(Id id, Attempt<T> attempt) throws IOException {
    // Taken before it is read, so that a change meanwhile is read again.
    String fingerprint = fingerprint(id);
    Rejected before = rejected.get(id);
    if (before != null && before.fingerprint.equals(fingerprint)) {
      throw new InvalidModelException(before.reason);
    }
    try {
      return attempt.run(fingerprint);
    } catch (InvalidModelException e) {
      reject(id, fingerprint, e);
      throw e;
    } catch (IOException | UncheckedIOException e) {
      if (health.isLost() || fingerprint(id).equals(fingerprint)) {
        throw e;
      }
      InvalidModelException changing =
          new InvalidModelException("the files of %s are changing".formatted(id), e);
      reject(id, fingerprint, changing);
      throw changing;
    }
  }

  private void reject(Id id, String fingerprint, InvalidModelException e) {
    String reason = String.valueOf(e.getMessage());
    Rejected before = rejected.put(id, new Rejected(fingerprint, reason, look, false));
    if (before == null || before.reported) {
      log.info("waiting until the files of {} stop changing: {}", id, reason);
    }
  }

  private ModelBundle read(String model, long version, String fingerprint) throws IOException {
    if (!repository.isBare(model, version)) {
      return repository.describe(model, version);
    }
    if (!config.allowUnverified()) {
      throw new InvalidModelException(
          "cannot verify %s/%d: it has no manifest.json; publish it with the trainer, or start with --allow-unverified"
              .formatted(repository.root().resolve(model), version));
    }
    Id id = new Id(model, version);
    Unverified before = unverified.get(id);
    if (before != null && before.fingerprint.equals(fingerprint)) {
      return before.bundle;
    }
    ModelBundle bundle =
        limit.run(
            id,
            () ->
                repository.openUnverified(
                    model, version, onnx -> OnnxModel.describe(onnx, config.activationBytes())),
            late -> {});
    log.warn("{} is not verified: it has no manifest.json", bundle);
    unverified.put(id, new Unverified(fingerprint, bundle));
    return bundle;
  }

  private boolean hasChanged(Id id, Rejected since) {
    try {
      return !fingerprint(id).equals(since.fingerprint);
    } catch (IOException | UncheckedIOException e) {
      return true;
    }
  }

  /** Changes when a file of the version does. */
  private String fingerprint(Id id) throws IOException {
    Path folder = repository.root().resolve(id.model).resolve(Long.toString(id.version));
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().map(VersionLoader::sizeAndTime).collect(Collectors.joining(";"));
    }
  }

  private static String sizeAndTime(Path file) {
    try {
      BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
      return "%s %d %s %s"
          .formatted(
              file.getFileName(),
              attributes.size(),
              attributes.lastModifiedTime(),
              attributes.fileKey());
    } catch (IOException e) {
      return file.getFileName() + " unreadable"; // A broken link, or removed just now.
    }
  }
}
