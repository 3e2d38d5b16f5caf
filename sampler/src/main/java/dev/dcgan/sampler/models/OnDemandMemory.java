package dev.dcgan.sampler.models;

import dev.dcgan.sampler.models.ModelEntry.Slot;
import dev.dcgan.sampler.models.NotServedException.Why;
import dev.dcgan.v1.ModelManifest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The memory for versions that are loaded on demand, by the size of their {@code model.onnx}.
 *
 * @param limit bytes that they may take together
 * @param copies of a version's weights in memory
 */
record OnDemandMemory(long limit, int copies) {

  /**
   * Selects the versions to evict so that another fits: the least recently used ones (LRU) that
   * nobody uses.
   *
   * @param loaded all versions that were loaded on demand
   * @throws NotServedException it does not fit even so
   */
  List<Slot> evictFor(ModelManifest requested, List<Slot> loaded) throws NotServedException {
    List<Slot> byLastUse = new ArrayList<>(loaded);
    byLastUse.sort(Comparator.comparingLong(slot -> slot.lastUse));
    long needed = bytes(requested);
    long taken = loaded.stream().mapToLong(slot -> bytes(slot.version.manifest())).sum();
    List<Slot> evicted = new ArrayList<>();
    for (Slot slot : byLastUse) {
      if (taken + needed > limit && slot.version.isIdle()) {
        evicted.add(slot);
        taken -= bytes(slot.version.manifest());
      }
    }
    if (taken + needed > limit) {
      throw new NotServedException(
          Why.NOT_FOUND,
          "there is no room for version %d of %s: it takes %d KiB, and %d of the %d KiB for versions loaded on demand are in use; raise --model-memory"
              .formatted(
                  requested.getModel().getVersion(),
                  requested.getModel().getName(),
                  kib(needed),
                  kib(taken),
                  kib(limit)));
    }
    return evicted;
  }

  private long bytes(ModelManifest manifest) {
    return manifest.getOnnxBytes() * copies;
  }

  private static long kib(long bytes) {
    return (bytes + 1023) / 1024;
  }
}
