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

/** What {@link ModelRegistry} know of one model. Guarded by their lock. */
final class ModelEntry {

  private static final int MOST_NAMED = 10;

  /** A version in memory, which its models use once. */
  static final class Slot {
    final ServedVersion model;

    /** It was fetched because a caller named it, and goes when its room is needed. */
    boolean onDemand;

    long lastUse;

    Slot(ServedVersion model, boolean onDemand) {
      this.model = model;
      this.onDemand = onDemand;
    }

    long version() {
      return model.version().getVersion();
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

  /** The slots beyond those to keep. */
  List<Slot> beyond(int keepVersions) {
    return slots.values().stream()
        .filter(slot -> slot != serving && !slot.onDemand)
        .skip(keepVersions - 1)
        .toList();
  }

  /** Takes note of what is on disk; the slots of versions that are there no more. */
  List<Slot> seen(List<Long> onDisk, Map<Long, String> invalid, long pinned) {
    this.available = onDisk.stream().filter(version -> !invalid.containsKey(version)).toList();
    this.invalid = Map.copyOf(invalid);
    this.pinned = pinned;
    return slots.values().stream()
        .filter(slot -> slot != serving && !onDisk.contains(slot.version()))
        .toList();
  }

  /**
   * Requires that a version, not in memory, may be on disk.
   *
   * @throws NotServedException it is not, or not valid
   */
  void requireAvailable(long version) throws NotServedException {
    String why = invalid.get(version);
    if (why != null) {
      throw new NotServedException(
          Why.NOT_FOUND, "version %d of %s cannot be used: %s".formatted(version, name, why));
    }
    if (!available.contains(version)) {
      throw new NotServedException(
          Why.NOT_FOUND,
          "version %s of %s is not in the repository; it has %s"
              .formatted(Long.toUnsignedString(version), name, known()));
    }
  }

  ModelStatus status(ServedVersion model) {
    return new ModelStatus(
        model.manifest(),
        model.isUnverified(),
        model.provider(),
        serving == null ? 0 : serving.version(),
        pinned,
        available);
  }

  private String known() {
    TreeSet<Long> versions = new TreeSet<>(available);
    versions.addAll(slots.keySet());
    List<String> newest = new ArrayList<>();
    if (versions.size() > MOST_NAMED) {
      newest.add("older ones");
    }
    versions.stream()
        .skip(Math.max(0, versions.size() - MOST_NAMED))
        .forEach(version -> newest.add(version.toString()));
    return String.join(", ", newest);
  }
}
