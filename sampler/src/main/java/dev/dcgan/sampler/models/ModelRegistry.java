package dev.dcgan.sampler.models;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.RepositorySurvey.Skipped;
import dev.dcgan.sampler.models.ModelEntry.Slot;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.v1.ModelManifest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The models that are served, and the versions of each that are in memory.
 *
 * <p>Each model has one version in service, which callers get that name no version. It stays in
 * memory, and so do the {@code keepVersions - 1} newest other versions. Any other version is loaded
 * from the {@link VersionSource} when a caller names it, and stays until its memory is needed: the
 * least recently used version that nobody uses is evicted first. Callers of the same version share
 * one load.
 *
 * <p>Thread-safe; no method blocks but {@link #close}. Whoever acquires a version keeps it until
 * releasing it, even if it leaves this registry; a version that leaves is closed after its last
 * use. A closed registry stays closed. Versions are added, and {@link #makeRoom} is called, by one
 * thread at a time.
 */
public final class ModelRegistry {

  private static final Logger log = LoggerFactory.getLogger(ModelRegistry.class);
  private static final int MAX_NAMES = 10;
  private static final String NO_MODEL = "no model is served here now; try again later";

  private final int keepVersions;
  private final OnDemandMemory onDemandMemory;
  private final VersionSource source;

  // Mutable state
  @GuardedBy("this") private final NavigableMap<String, ModelEntry> entries = new TreeMap<>();

  /** Versions that have left, until they are closed. */
  @GuardedBy("this") private final List<ServedVersion> retired = new ArrayList<>();

  /** The model of callers that name none, if exactly one is served. */
  @GuardedBy("this") private @Nullable ModelEntry only;

  /** What is not served, with paths relative to the repository. */
  @GuardedBy("this") private List<Skipped> skipped = List.of();

  @GuardedBy("this") private long uses;

  @GuardedBy("this") private boolean closed;

  /**
   * A registry without models.
   *
   * @param keepVersions of each model, 1 or more
   * @param onDemandBytes that versions loaded on demand may take together
   * @param copies of a version's weights in memory
   */
  ModelRegistry(int keepVersions, long onDemandBytes, int copies, VersionSource source) {
    this.keepVersions = keepVersions;
    this.onDemandMemory = new OnDemandMemory(onDemandBytes, copies);
    this.source = source;
  }

  /**
   * Acquires a version, which the caller releases exactly once. The future is complete already if
   * the version is in memory. Cancelling the future ends this caller's wait; a version that a
   * completed future holds must be released.
   *
   * @param model empty: the only one that is served
   * @param version 0: the one in service
   * @throws NotServedException at once, or as the failure of the future
   */
  public CompletableFuture<ServedVersion> acquire(String model, long version)
      throws NotServedException {
    CompletableFuture<ServedVersion> waiter;
    String name;
    synchronized (this) {
      ModelEntry entry = resolve(model);
      Slot slot = entry.slot(version);
      if (slot != null) {
        return CompletableFuture.completedFuture(use(slot));
      }
      entry.requireAvailable(version);
      name = entry.name;
      waiter = new CompletableFuture<>();
      List<CompletableFuture<ServedVersion>> others = entry.waiting.get(version);
      if (others != null) {
        others.add(waiter);
        return waiter;
      }
      entry.waiting.put(version, new ArrayList<>(List.of(waiter)));
    }
    source.fetch(name, version);
    return waiter;
  }

  /** The models that are served, by name, each with the version in service. */
  public synchronized List<ModelStatus> list() {
    List<ModelStatus> all = new ArrayList<>();
    for (ModelEntry entry : entries.values()) {
      if (entry.serving != null) {
        all.add(entry.status(entry.serving.version));
      }
    }
    return all;
  }

  /**
   * What the last look at the repository found but does not serve, sorted. The paths are relative
   * to the repository, and the reasons name no folder outside of it: callers may see them.
   */
  public synchronized List<Skipped> skipped() {
    return skipped;
  }

  /**
   * The status of a version. One that is not in memory is not loaded for that: its manifest is read
   * and verified, and its model's size, but not the model's digest.
   */
  public CompletableFuture<ModelStatus> get(String model, long version) throws NotServedException {
    String name;
    synchronized (this) {
      ModelEntry entry = resolve(model);
      Slot slot = entry.slot(version);
      if (slot != null) {
        return CompletableFuture.completedFuture(entry.status(slot.version));
      }
      entry.requireAvailable(version);
      name = entry.name;
    }
    return source.open(name, version).thenApply(bundle -> status(name, bundle));
  }

  /**
   * Puts a version in service and pins it; 0 removes the pin and puts the newest valid version in
   * service. The future's status is that of the version in service afterwards.
   */
  public CompletableFuture<ModelStatus> setServing(String model, long version)
      throws NotServedException {
    String name;
    synchronized (this) {
      name = resolve(model).name;
    }
    return source.setServing(name, version).thenApply(serving -> status(name));
  }

  /**
   * Adds a version and puts it in service; its first use passes to this registry. The version
   * before leaves unless it is one of those to keep. If the registry is closed, the version is
   * released and the result is false.
   */
  public synchronized boolean serve(ServedVersion next) {
    Slot slot = add(next, false);
    if (slot == null) {
      return false;
    }
    serve(entry(next.version().getName()), slot);
    return true;
  }

  /**
   * Fails all waiting callers, and waits until all versions are closed; false: the limit passed.
   */
  public boolean close(Duration limit) throws InterruptedException {
    List<CompletableFuture<ServedVersion>> waiters = new ArrayList<>();
    List<ServedVersion> closing;
    synchronized (this) {
      closed = true;
      for (ModelEntry entry : entries.values()) {
        entry.waiting.values().forEach(waiters::addAll);
        entry.waiting.clear();
        entry.slots.values().forEach(slot -> retire(slot.version));
        entry.slots.clear();
        entry.serving = null;
      }
      only = null;
      closing = List.copyOf(retired);
    }
    waiters.forEach(
        waiter -> waiter.completeExceptionally(new NotServedException(Why.UNAVAILABLE, NO_MODEL)));
    return awaitClosed(closing, limit);
  }

  /**
   * Evicts all versions that were loaded on demand and that nobody uses.
   *
   * @return the evicted versions: their memory is free once they are closed
   */
  public synchronized List<ServedVersion> evictIdle() {
    List<Slot> idle = onDemandSlots().stream().filter(slot -> slot.version.isIdle()).toList();
    idle.forEach(slot -> log.info("evicted {}: out of memory", slot.version));
    return evict(idle);
  }

  /** Fails the queued images of all versions, in a process that ends because it cannot run them. */
  public void failQueued(RuntimeException reason) {
    List<ServedVersion> all = new ArrayList<>();
    synchronized (this) {
      entries
          .values()
          .forEach(entry -> entry.slots.values().forEach(slot -> all.add(slot.version)));
      all.addAll(retired);
    }
    all.forEach(version -> version.scheduler().failQueued(reason));
  }

  // The methods below are for the thread that loads versions.

  /** The version in service; 0: none. */
  synchronized long servingVersion(String model) {
    ModelEntry entry = entries.get(model);
    return entry == null || entry.serving == null ? 0 : entry.serving.number();
  }

  /** The number of versions in memory. */
  synchronized int loadedVersions() {
    return entries.values().stream().mapToInt(entry -> entry.slots.size()).sum();
  }

  synchronized boolean isLoaded(String model, long version) {
    ModelEntry entry = entries.get(model);
    return entry != null && entry.slots.containsKey(version);
  }

  /** Puts a version in service that is in memory; null: it is not. */
  synchronized @Nullable ServedVersion serve(String model, long version) {
    ModelEntry entry = entries.get(model);
    Slot slot = entry == null ? null : entry.slots.get(version);
    if (entry == null || slot == null) {
      return null;
    }
    serve(entry, slot);
    return slot.version;
  }

  /** Adds a version to keep, as {@link #serve(ServedVersion)} but without putting it in service. */
  synchronized void keep(ServedVersion version) {
    if (add(version, false) != null) {
      removeExcess(entry(version.version().getName()));
    }
  }

  /** Keeps a version that is in memory; false: it is not. */
  synchronized boolean keep(String model, long version) {
    ModelEntry entry = entries.get(model);
    Slot slot = entry == null ? null : entry.slots.get(version);
    if (entry == null || slot == null) {
      return false;
    }
    slot.onDemand = false;
    removeExcess(entry);
    return true;
  }

  /**
   * Records what is in the repository; versions that are gone leave memory, except the one in
   * service.
   *
   * @param onDisk the versions, newest first
   * @param invalid the reasons why some of them cannot be used
   * @param pinned 0: none
   */
  synchronized void updateAvailable(
      String model, List<Long> onDisk, Map<Long, String> invalid, long pinned) {
    ModelEntry entry = entry(model);
    entry.updateAvailable(onDisk, invalid, pinned).forEach(slot -> remove(entry, slot));
  }

  /** Records what the last look does not serve, with paths relative to the repository. */
  synchronized void updateSkipped(List<Skipped> skipped) {
    this.skipped = List.copyOf(skipped);
  }

  /** Whether a caller still waits for a version; otherwise it need not be loaded. */
  synchronized boolean isAwaited(String model, long version) {
    ModelEntry entry = entries.get(model);
    if (entry == null) {
      return false;
    }
    var waiters = entry.waiting.getOrDefault(version, List.of());
    if (waiters.stream().allMatch(CompletableFuture::isDone)) {
      entry.waiting.remove(version);
      return false;
    }
    return true;
  }

  /**
   * Evicts versions so that another can be loaded on demand.
   *
   * @return the evicted versions: their memory is free once they are closed
   * @throws NotServedException there is too little memory, and nothing has changed
   */
  synchronized List<ServedVersion> makeRoom(ModelManifest requested) throws NotServedException {
    return evict(onDemandMemory.evictFor(requested, onDemandSlots()));
  }

  /** Adds a version that was loaded on demand; its first use passes to this registry. */
  void fetched(ServedVersion version) {
    synchronized (this) {
      if (add(version, true) == null) {
        return;
      }
    }
    completeWaiters(version.version().getName(), version.version().getVersion());
  }

  /** Gives a version in memory to the callers that wait for it. */
  void completeWaiters(String model, long version) {
    List<CompletableFuture<ServedVersion>> waiters;
    ServedVersion found;
    synchronized (this) {
      ModelEntry entry = entry(model);
      Slot slot = entry.slots.get(version);
      waiters = entry.waiting.remove(version);
      if (slot == null || waiters == null) {
        return;
      }
      waiters.forEach(waiter -> use(slot));
      found = slot.version;
    }
    for (CompletableFuture<ServedVersion> waiter : waiters) {
      if (!waiter.complete(found)) {
        found.release();
      }
    }
  }

  /** Fails the callers that wait for a version. */
  void fetchFailed(String model, long version, Exception reason) {
    List<CompletableFuture<ServedVersion>> waiters;
    synchronized (this) {
      waiters = entry(model).waiting.remove(version);
    }
    if (waiters != null) {
      waiters.forEach(waiter -> waiter.completeExceptionally(reason));
    }
  }

  @GuardedBy("this") private ModelEntry entry(String model) {
    return entries.computeIfAbsent(model, ModelEntry::new);
  }

  /** The entry of a model that has a version in service; empty: the only one. */
  @GuardedBy("this") private ModelEntry resolve(String model) throws NotServedException {
    ModelEntry entry = model.isEmpty() ? only : entries.get(model);
    if (entry != null && entry.serving != null) {
      return entry;
    }
    List<String> served =
        entries.values().stream().filter(e -> e.serving != null).map(e -> e.name).toList();
    if (served.isEmpty()) {
      throw new NotServedException(Why.UNAVAILABLE, NO_MODEL);
    }
    if (model.isEmpty()) {
      throw new NotServedException(
          Why.AMBIGUOUS, "several models are served (%s): say which".formatted(list(served, "")));
    }
    if (entry != null) {
      throw new NotServedException(
          Why.UNAVAILABLE,
          "no version of %s can be served now%s".formatted(model, entry.whyNoVersion()));
    }
    throw new NotServedException(
        Why.NOT_FOUND,
        "model '%s' is not served; %s %s"
            .formatted(
                LoadErrors.excerpt(model), list(served, "'"), served.size() == 1 ? "is" : "are"));
  }

  /** Some names for a message, whose length a client may limit. */
  private static String list(List<String> names, String quote) {
    String first =
        names.stream()
            .limit(MAX_NAMES)
            .map(name -> quote + name + quote)
            .collect(Collectors.joining(", "));
    return names.size() > MAX_NAMES
        ? "%s and %d more".formatted(first, names.size() - MAX_NAMES)
        : first;
  }

  @GuardedBy("this") private ServedVersion use(Slot slot) {
    slot.lastUse = ++uses;
    if (!slot.version.retain()) {
      throw new IllegalStateException(slot.version + " was released too often");
    }
    return slot.version;
  }

  /** Adds a version; null, and it is released, if the registry is closed. */
  @GuardedBy("this") private @Nullable Slot add(ServedVersion version, boolean onDemand) {
    if (closed) {
      retire(version);
      return null;
    }
    Slot slot = new Slot(version, onDemand);
    slot.lastUse = ++uses;
    Slot before = entry(version.version().getName()).slots.put(slot.number(), slot);
    if (before != null) {
      retire(before.version);
    }
    return slot;
  }

  @GuardedBy("this") private void serve(ModelEntry entry, Slot slot) {
    slot.onDemand = false;
    entry.serving = slot;
    removeExcess(entry);
    List<ModelEntry> served = entries.values().stream().filter(e -> e.serving != null).toList();
    only = served.size() == 1 ? served.get(0) : null;
  }

  @GuardedBy("this") private void removeExcess(ModelEntry entry) {
    entry.excess(keepVersions).forEach(slot -> remove(entry, slot));
  }

  @GuardedBy("this") private List<Slot> onDemandSlots() {
    return entries.values().stream()
        .flatMap(entry -> entry.slots.values().stream())
        .filter(slot -> slot.onDemand)
        .toList();
  }

  @GuardedBy("this") private List<ServedVersion> evict(List<Slot> slots) {
    slots.forEach(slot -> remove(entry(slot.version.version().getName()), slot));
    return slots.stream().map(slot -> slot.version).toList();
  }

  @GuardedBy("this") private void remove(ModelEntry entry, Slot slot) {
    entry.slots.remove(slot.number());
    retire(slot.version);
  }

  /** Ends the registry's own use of a version, and remembers the version until it is closed. */
  @GuardedBy("this") private void retire(ServedVersion version) {
    version.release();
    retired.removeIf(ServedVersion::isClosed);
    retired.add(version);
  }

  private synchronized ModelStatus status(String model) {
    ModelEntry entry = entry(model);
    if (entry.serving == null) {
      throw new CompletionException(new NotServedException(Why.UNAVAILABLE, NO_MODEL));
    }
    return entry.status(entry.serving.version);
  }

  private synchronized ModelStatus status(String model, ModelBundle bundle) {
    ModelStatus serving = status(model);
    return new ModelStatus(
        bundle.manifest(),
        bundle.unverified(),
        serving.provider(),
        serving.serving(),
        serving.pinned(),
        serving.available());
  }

  private static boolean awaitClosed(List<ServedVersion> versions, Duration limit)
      throws InterruptedException {
    long start = System.nanoTime();
    boolean all = true;
    for (ServedVersion version : versions) {
      all &= version.awaitClosed(limit.minusNanos(System.nanoTime() - start));
    }
    return all;
  }
}
