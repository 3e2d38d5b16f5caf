package dev.dcgan.sampler.export;

import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import java.nio.file.Path;

/**
 * What one part of an export writes.
 *
 * @param version 0: the one that the export was begun with, else the pinned one, else the newest
 *     valid one
 * @param part 0 to parts - 1
 * @param keepExisting whether existing shards are kept
 * @param sessions that run concurrently
 */
public record ExportConfig(
    ModelRepository repository,
    String model,
    long version,
    long seed,
    Shards shards,
    int part,
    int parts,
    Path out,
    boolean keepExisting,
    RuntimeSettings runtime,
    int sessions,
    int maxBatch) {

  /** The first shard of the part. */
  int begin() {
    return shards.begin(part, parts);
  }

  /** The first shard after the part. */
  int end() {
    return shards.begin(part + 1, parts);
  }

  boolean isCuda() {
    return runtime.provider() == Provider.CUDA;
  }
}
