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
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens and loads versions. Invalid versions are rejected, logged and counted once, and remembered
 * until their files change. A model is read and verified when it is loaded. A version without a
 * manifest must be read to be opened; its description is cached until its files change.
 *
 * <p>A version is not at fault, and not rejected, if memory is short or the device is lost. It is
 * loaded again after memory was freed, and then with backoff ({@link LoadBackoff}). Not
 * thread-safe.
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

  private record Rejected(String fingerprint, String reason) {}

  private record Unverified(String fingerprint, ModelBundle bundle) {}

  private final ModelRepository repository;
  private final boolean allowUnverified;
  private final VersionFactory factory;
  private final Consumer<String> onRejected;
  private final BooleanSupplier freeMemory;
  private final DeviceHealth health;
  private final LoadBackoff<Id> backoff;

  // Mutable state
  private final Map<Id, Rejected> rejected = new HashMap<>();
  private final Map<Id, Unverified> unverified = new HashMap<>();

  /**
   * A loader that has rejected nothing yet.
   *
   * @param allowUnverified whether versions without a manifest are opened
   * @param onRejected called with the model of each version that is rejected
   * @param freeMemory evicts versions that nobody uses; false: there is none
   * @param health receives the loss of a device
   * @param backoff between attempts to load a version that is not at fault
   */
  VersionLoader(
      ModelRepository repository,
      boolean allowUnverified,
      VersionFactory factory,
      Consumer<String> onRejected,
      BooleanSupplier freeMemory,
      DeviceHealth health,
      LoadBackoff<Id> backoff) {
    this.repository = repository;
    this.allowUnverified = allowUnverified;
    this.factory = factory;
    this.onRejected = onRejected;
    this.freeMemory = freeMemory;
    this.health = health;
    this.backoff = backoff;
  }

  /**
   * Opens a version but does not load it: {@link #load} verifies its digest.
   *
   * @param meanwhile what is served if it is rejected, for the log
   * @throws InvalidModelException it is rejected, now or since its files last changed
   */
  ModelBundle open(String model, long version, String meanwhile) throws IOException {
    return attempt(
        new Id(model, version), meanwhile, fingerprint -> read(model, version, fingerprint));
  }

  /**
   * Loads a version that was opened; otherwise as {@link #open}.
   *
   * @throws LoadBackoff.TooEarlyException it failed a short time ago without being at fault
   */
  ServedVersion load(ModelBundle bundle, String meanwhile) throws IOException {
    Id id = new Id(bundle.name(), bundle.version());
    return attempt(
        id,
        meanwhile,
        fingerprint -> {
          backoff.requireDue(id, fingerprint);
          try {
            ServedVersion loaded = loadFreeingMemory(bundle);
            backoff.succeeded(id);
            return loaded;
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
      return factory.load(bundle);
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

  /** The reasons why versions are rejected; forgets those whose files have changed or are gone. */
  Map<Long, String> invalid(String model, List<Long> versions) {
    unverified.keySet().removeIf(id -> id.model.equals(model) && !versions.contains(id.version));
    backoff.forget(id -> id.model.equals(model) && !versions.contains(id.version));
    rejected
        .entrySet()
        .removeIf(
            entry ->
                entry.getKey().model.equals(model)
                    && (!versions.contains(entry.getKey().version)
                        || hasChanged(entry.getKey(), entry.getValue())));
    Map<Long, String> invalid = new HashMap<>();
    rejected.forEach(
        (id, entry) -> {
          if (id.model.equals(model)) {
            invalid.put(id.version, entry.reason);
          }
        });
    return invalid;
  }

  private interface Attempt<T> {
    T run(String fingerprint) throws IOException;
  }

  private <T> T attempt(Id id, String meanwhile, Attempt<T> attempt) throws IOException {
    // Taken before it is read, so that a change meanwhile is read again.
    String fingerprint = fingerprint(id);
    Rejected before = rejected.get(id);
    if (before != null && before.fingerprint.equals(fingerprint)) {
      throw new InvalidModelException(before.reason);
    }
    try {
      return attempt.run(fingerprint);
    } catch (InvalidModelException e) {
      String reason = String.valueOf(e.getMessage());
      rejected.put(id, new Rejected(fingerprint, reason));
      onRejected.accept(id.model);
      log.error("skipped {}, {}: {}", id, meanwhile, reason);
      throw e;
    }
  }

  private ModelBundle read(String model, long version, String fingerprint) throws IOException {
    if (!repository.isBare(model, version)) {
      return repository.describe(model, version);
    }
    if (!allowUnverified) {
      throw new InvalidModelException(
          "cannot verify %s/%d: it has no manifest.json; publish it with the trainer, or start with --allow-unverified"
              .formatted(repository.root().resolve(model), version));
    }
    Id id = new Id(model, version);
    Unverified before = unverified.get(id);
    if (before != null && before.fingerprint.equals(fingerprint)) {
      return before.bundle;
    }
    ModelBundle bundle = repository.openUnverified(model, version, OnnxModel::describe);
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
      return "%s %d %s"
          .formatted(file.getFileName(), Files.size(file), Files.getLastModifiedTime(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
