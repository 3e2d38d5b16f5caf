package dev.dcgan.sampler.models;

import dev.dcgan.sampler.models.NotServedException.Why;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** What {@link ModelRegistry} knows of one model. Guarded by its lock. */
final class ModelEntry {

  private static final int MAX_VERSIONS_NAMED = 10;

  /** A version in memory; the registry holds one use of it. */
  static final class Slot {
    final ServedVersion version;

    /** Loaded because a caller named it, and evicted when its memory is needed. */
    boolean onDemand;

    long lastUse;

    Slot(ServedVersion version, boolean onDemand) {
      this.version = version;
      this.onDemand = onDemand;
    }

    long number() {
      return version.version().getVersion();
    }
  }

  final String name;

  // Mutable state
  final NavigableMap<Long, Slot> slots = new TreeMap<>(Comparator.reverseOrder());
  final Map<Long, List<CompletableFuture<ServedVersion>>> waiting = new HashMap<>();
  @Nullable Slot serving;
  private List<Long> available = List.of();
  private Map<Long, String> invalid = Map.of();
  private long pinned;

  ModelEntry(String name) {
    this.name = name;
  }

  /** A version in memory; 0: the one in service. */
  @Nullable Slot slot(long version) {
    return version == 0 ? serving : slots.get(version);
  }

  /** The slots that exceed the number of versions to keep. */
  List<Slot> excess(int keepVersions) {
    return slots.values().stream()
        .filter(slot -> slot != serving && !slot.onDemand)
        .skip(keepVersions - 1)
        .toList();
  }

  /** Records what is on disk; returns the slots of versions that are gone. */
  List<Slot> updateAvailable(List<Long> onDisk, Map<Long, String> invalid, long pinned) {
    this.available = onDisk.stream().filter(version -> !invalid.containsKey(version)).toList();
    this.invalid = Map.copyOf(invalid);
    this.pinned = pinned;
    return slots.values().stream()
        .filter(slot -> slot != serving && !onDisk.contains(slot.number()))
        .toList();
  }

  /**
   * Requires that a version, which is not in memory, may be on disk.
   *
   * @throws NotServedException it is not on disk, or invalid
   */
  void requireAvailable(long version) throws NotServedException {
    String reason = invalid.get(version);
    if (reason != null) {
      throw new NotServedException(
          Why.NOT_FOUND, "version %d of %s cannot be used: %s".formatted(version, name, reason));
    }
    if (!available.contains(version)) {
      throw new NotServedException(
          Why.NOT_FOUND,
          "version %s of %s is not in the repository; it has %s"
              .formatted(Long.toUnsignedString(version), name, knownVersions()));
    }
  }

  /** Why no version is in service: the end of a message. */
  String whyNoVersion() {
    return invalid.entrySet().stream()
        .max(Map.Entry.comparingByKey())
        .map(newest -> ": version %d: %s".formatted(newest.getKey(), newest.getValue()))
        .orElse("; try again later");
  }

  ModelStatus status(ServedVersion version) {
    return new ModelStatus(
        version.manifest(),
        version.isUnverified(),
        version.provider(),
        serving == null ? 0 : serving.number(),
        pinned,
        available);
  }

  private String knownVersions() {
    TreeSet<Long> versions = new TreeSet<>(available);
    versions.addAll(slots.keySet());
    List<String> newest = new ArrayList<>();
    if (versions.size() > MAX_VERSIONS_NAMED) {
      newest.add("older ones");
    }
    versions.stream()
        .skip(Math.max(0, versions.size() - MAX_VERSIONS_NAMED))
        .forEach(version -> newest.add(version.toString()));
    return String.join(", ", newest);
  }
}
