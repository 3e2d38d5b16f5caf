package dev.dcgan.sampler.models;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.models.ModelEntry.Slot;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.v1.ModelManifest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
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
 * <p>Each model has one version in service, which is what callers get that name none. It stays in
 * memory, and so do the {@code keepVersions - 1} newest others. Any other version is fetched from
 * the {@link VersionSource} when a caller names it, and stays until its room is needed: the least recently
 * used that nobody uses goes first. Callers of the same version share one fetch.
 *
 * <p>Thread-safe; no method blocks but {@link #close}. Whoever acquires a version keeps that one
 * until releasing it, whatever happens here meanwhile; a version that leaves closes after its last
 * user. Once closed it stays closed. Versions come in, and {@link #makeRoom} is called, on one
 * thread at a time.
 */
public final class ModelRegistry {

  private static final Logger log = LoggerFactory.getLogger(ModelRegistry.class);
  private static final String NOTHING = "no model is served here now; try again later";

  private final int keepVersions;
  private final long onDemandBytes;
  private final int copies;
  private final VersionSource shelf;

  // Mutable state
  @GuardedBy("this") private final NavigableMap<String, ModelEntry> entries = new TreeMap<>();

  @GuardedBy("this") private final List<ServedVersion> retired = new ArrayList<>();

  /** The model of callers that name none, where exactly one is served. */
  @GuardedBy("this") private @Nullable ModelEntry only;

  @GuardedBy("this") private long uses;

  @GuardedBy("this") private boolean closed;

  /**
   * No models yet.
   *
   * @param keepVersions of each model, 1 or more
   * @param onDemandBytes what the versions that were fetched may take together
   * @param copies of a version's weights in memory
   */
  public ModelRegistry(int keepVersions, long onDemandBytes, int copies, VersionSource shelf) {
    this.keepVersions = keepVersions;
    this.onDemandBytes = onDemandBytes;
    this.copies = copies;
    this.shelf = shelf;
  }

  /**
   * A version to serve with, to be released exactly once: complete already where it is in memory.
   * Cancelling the future ends this caller's wait; a future that completed with a version has
   * passed it on.
   *
   * @param model empty: the only one that is served
   * @param version 0: the one in service
   * @throws NotServedException as the future fails too, where that turns out later
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
    shelf.fetch(name, version);
    return waiter;
  }

  /** The models that are served, by name, each with the version in service. */
  public synchronized List<ModelStatus> list() {
    List<ModelStatus> all = new ArrayList<>();
    for (ModelEntry entry : entries.values()) {
      if (entry.serving != null) {
        all.add(entry.status(entry.serving.model));
      }
    }
    return all;
  }

  /**
   * What is known of a version. One that is not in memory is not loaded for that: its manifest is
   * read and checked, and its model's size, but not its digest.
   */
  public CompletableFuture<ModelStatus> get(String model, long version) throws NotServedException {
    String name;
    synchronized (this) {
      ModelEntry entry = resolve(model);
      Slot slot = entry.slot(version);
      if (slot != null) {
        return CompletableFuture.completedFuture(entry.status(slot.model));
      }
      entry.requireAvailable(version);
      name = entry.name;
    }
    return shelf.open(name, version).thenApply(bundle -> status(name, bundle));
  }

  /** As {@link VersionSource#setServing}; the status is that of the version in service then. */
  public CompletableFuture<ModelStatus> setServing(String model, long version)
      throws NotServedException {
    String name;
    synchronized (this) {
      name = resolve(model).name;
    }
    return shelf.setServing(name, version).thenApply(serving -> status(name));
  }

  /**
   * Puts a version in service, whose first use passes to this object; the one before leaves, unless
   * it is one of those to keep. False, and the version is released, where this is closed.
   */
  public synchronized boolean serve(ServedVersion next) {
    Slot slot = add(next, false);
    if (slot == null) {
      return false;
    }
    serve(entry(next.version().getName()), slot);
    return true;
  }

  /** Ends all waiting, and waits until all versions are closed; false if that took too long. */
  public boolean close(Duration limit) throws InterruptedException {
    List<CompletableFuture<ServedVersion>> waiters = new ArrayList<>();
    List<ServedVersion> closing;
    synchronized (this) {
      closed = true;
      for (ModelEntry entry : entries.values()) {
        entry.waiting.values().forEach(waiters::addAll);
        entry.waiting.clear();
        entry.slots.values().forEach(slot -> retire(slot.model));
        entry.slots.clear();
        entry.serving = null;
      }
      only = null;
      closing = List.copyOf(retired);
    }
    waiters.forEach(
        waiter -> waiter.completeExceptionally(new NotServedException(Why.UNAVAILABLE, NOTHING)));
    return awaitClosed(closing, limit);
  }

  /**
   * Lets all versions go that were fetched on demand and that nobody uses.
   *
   * @return those that went: their memory is free once they are closed
   */
  public synchronized List<ServedVersion> evictIdle() {
    List<Slot> going =
        entries.values().stream()
            .flatMap(entry -> entry.slots.values().stream())
            .filter(slot -> slot.onDemand && slot.model.isIdle())
            .toList();
    going.forEach(
        slot -> {
          log.info("{} is evicted: memory is short", slot.model);
          remove(entry(slot.model.version().getName()), slot);
        });
    return going.stream().map(slot -> slot.model).toList();
  }

  /** Fails what is queued, of all versions; for a process that ends because it cannot run them. */
  public void failQueued(RuntimeException why) {
    List<ServedVersion> all = new ArrayList<>();
    synchronized (this) {
      entries.values().forEach(entry -> entry.slots.values().forEach(slot -> all.add(slot.model)));
      all.addAll(retired);
    }
    all.forEach(model -> model.scheduler().failQueued(why));
  }

  // What follows is for the thread that loads.

  /** The version in service; 0: none. */
  synchronized long serving(String model) {
    ModelEntry entry = entries.get(model);
    return entry == null || entry.serving == null ? 0 : entry.serving.version();
  }

  /** How many versions are in memory. */
  synchronized int loaded() {
    return entries.values().stream().mapToInt(entry -> entry.slots.size()).sum();
  }

  synchronized boolean holds(String model, long version) {
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
    return slot.model;
  }

  /**
   * Takes in a version to keep, as {@link #serve(ServedVersion)} but without putting it in service.
   */
  synchronized void keep(ServedVersion model) {
    if (add(model, false) != null) {
      trim(entry(model.version().getName()));
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
    trim(entry);
    return true;
  }

  /**
   * What a look at the repository found; versions that are there no more leave, but for the one in
   * service.
   *
   * @param onDisk the versions, newest first
   * @param invalid why some of them cannot be used
   * @param pinned 0: none
   */
  synchronized void seen(String model, List<Long> onDisk, Map<Long, String> invalid, long pinned) {
    ModelEntry entry = entry(model);
    entry.seen(onDisk, invalid, pinned).forEach(slot -> remove(entry, slot));
  }

  /** Whether someone still waits for a version; if not, it need not be fetched. */
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
   * Makes room for a version to fetch, by letting others go.
   *
   * @return those that went: their memory is free once they are closed
   * @throws NotServedException there is no room, and nothing has changed
   */
  synchronized List<ServedVersion> makeRoom(ModelManifest wanted) throws NotServedException {
    long needed = bytes(wanted);
    List<Slot> onDemand = new ArrayList<>();
    for (ModelEntry entry : entries.values()) {
      entry.slots.values().stream().filter(slot -> slot.onDemand).forEach(onDemand::add);
    }
    onDemand.sort(Comparator.comparingLong(slot -> slot.lastUse));
    long taken = onDemand.stream().mapToLong(slot -> bytes(slot.model.manifest())).sum();
    List<Slot> going = new ArrayList<>();
    for (Slot slot : onDemand) {
      if (taken + needed > onDemandBytes && slot.model.isIdle()) {
        going.add(slot);
        taken -= bytes(slot.model.manifest());
      }
    }
    if (taken + needed > onDemandBytes) {
      throw new NotServedException(
          Why.NOT_FOUND,
          "there is no room for version %d of %s: it takes %d KiB; --model-memory gives %d KiB to versions that are loaded on demand, and %d KiB of that are in use"
              .formatted(
                  wanted.getModel().getVersion(),
                  wanted.getModel().getName(),
                  kib(needed),
                  kib(onDemandBytes),
                  kib(taken)));
    }
    going.forEach(slot -> remove(entry(slot.model.version().getName()), slot));
    return going.stream().map(slot -> slot.model).toList();
  }

  /** A version was fetched, whose first use passes to this object. */
  void fetched(ServedVersion model) {
    synchronized (this) {
      if (add(model, true) == null) {
        return;
      }
    }
    handOut(model.version().getName(), model.version().getVersion());
  }

  /** Gives those who wait for a version the one that is in memory. */
  void handOut(String model, long version) {
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
      found = slot.model;
    }
    for (CompletableFuture<ServedVersion> waiter : waiters) {
      if (!waiter.complete(found)) {
        found.release();
      }
    }
  }

  /** A version cannot be fetched. */
  void notFetched(String model, long version, Exception why) {
    List<CompletableFuture<ServedVersion>> waiters;
    synchronized (this) {
      waiters = entry(model).waiting.remove(version);
    }
    if (waiters != null) {
      waiters.forEach(waiter -> waiter.completeExceptionally(why));
    }
  }

  @GuardedBy("this") private ModelEntry entry(String model) {
    return entries.computeIfAbsent(model, ModelEntry::new);
  }

  /** The model of that name, which has a version in service. */
  @GuardedBy("this") private ModelEntry resolve(String model) throws NotServedException {
    ModelEntry entry = model.isEmpty() ? only : entries.get(model);
    if (entry != null && entry.serving != null) {
      return entry;
    }
    List<String> served =
        entries.values().stream().filter(e -> e.serving != null).map(e -> e.name).toList();
    if (served.isEmpty()) {
      throw new NotServedException(Why.UNAVAILABLE, NOTHING);
    }
    if (model.isEmpty()) {
      throw new NotServedException(
          Why.AMBIGUOUS,
          "several models are served (%s): say which".formatted(String.join(", ", served)));
    }
    if (entry != null) {
      throw new NotServedException(
          Why.UNAVAILABLE, "no version of %s can be served now; try again later".formatted(model));
    }
    String last = "'" + served.get(served.size() - 1) + "'";
    String first =
        served.stream()
            .limit(served.size() - 1)
            .map(name -> "'" + name + "'")
            .collect(Collectors.joining(", "));
    throw new NotServedException(
        Why.NOT_FOUND,
        "model '%s' is not served; %s"
            .formatted(model, first.isEmpty() ? last + " is" : first + " and " + last + " are"));
  }

  @GuardedBy("this") private ServedVersion use(Slot slot) {
    slot.lastUse = ++uses;
    if (!slot.model.retain()) {
      throw new IllegalStateException(slot.model + " was released too often");
    }
    return slot.model;
  }

  /** Null, and the version is released, where this is closed. */
  @GuardedBy("this") private @Nullable Slot add(ServedVersion model, boolean onDemand) {
    if (closed) {
      retire(model);
      return null;
    }
    Slot slot = new Slot(model, onDemand);
    slot.lastUse = ++uses;
    Slot before = entry(model.version().getName()).slots.put(slot.version(), slot);
    if (before != null) {
      retire(before.model);
    }
    return slot;
  }

  @GuardedBy("this") private void serve(ModelEntry entry, Slot slot) {
    slot.onDemand = false;
    entry.serving = slot;
    trim(entry);
    List<ModelEntry> served = entries.values().stream().filter(e -> e.serving != null).toList();
    only = served.size() == 1 ? served.get(0) : null;
  }

  /** Lets go what is beyond the versions to keep. */
  @GuardedBy("this") private void trim(ModelEntry entry) {
    entry.beyond(keepVersions).forEach(slot -> remove(entry, slot));
  }

  @GuardedBy("this") private void remove(ModelEntry entry, Slot slot) {
    entry.slots.remove(slot.version());
    retire(slot.model);
  }

  /** Ends this object's use, and remembers the version until it is closed. */
  @GuardedBy("this") private void retire(ServedVersion model) {
    model.release();
    retired.removeIf(ServedVersion::isClosed);
    retired.add(model);
  }

  private synchronized ModelStatus status(String model) {
    ModelEntry entry = entry(model);
    if (entry.serving == null) {
      throw new CompletionException(new NotServedException(Why.UNAVAILABLE, NOTHING));
    }
    return entry.status(entry.serving.model);
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

  private static boolean awaitClosed(List<ServedVersion> models, Duration limit)
      throws InterruptedException {
    long start = System.nanoTime();
    boolean all = true;
    for (ServedVersion model : models) {
      all &= model.awaitClosed(limit.minusNanos(System.nanoTime() - start));
    }
    return all;
  }

  private long bytes(ModelManifest manifest) {
    return manifest.getOnnxBytes() * copies;
  }

  private static long kib(long bytes) {
    return (bytes + 1023) / 1024;
  }
}
