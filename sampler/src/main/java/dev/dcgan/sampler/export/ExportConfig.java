package dev.dcgan.sampler.export;

import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.sampler.runtime.RuntimeSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * What one part of an export writes.
 *
 * @param version 0: the one that the export was begun with, else the pinned one, else the newest
 *     valid one
 * @param labels as in {@code GenerateRequest}: none, one or several
 * @param part 0 to parts - 1
 * @param keepExisting whether existing shards are kept
 * @param sessions that run concurrently
 */
public record ExportConfig(
    ModelRepository repository,
    String model,
    long version,
    long seed,
    List<String> labels,
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

  /**
   * The labels of the images of a version.
   *
   * @throws IOException it does not have the requested ones; the message lists its classes
   */
  LabelChoice labelChoice(ModelBundle bundle) throws IOException {
    try {
      return LabelChoice.of(bundle.classes(), labels);
    } catch (IllegalArgumentException e) {
      throw new IOException("cannot export %s: %s".formatted(bundle, e.getMessage()), e);
    }
  }

  boolean isCuda() {
    return runtime.provider() == Provider.CUDA;
  }
}
