package dev.dcgan.sampler.export;

import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.v1.ExportManifest;
import dev.dcgan.v1.ImageClass;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Exports one part: a block of whole shards. It chooses the version, agrees on it with the other
 * parts, and has a {@link ShardWriter} write the shards.
 *
 * <p>The shards of all parts together are the same files, byte for byte, for any number of parts
 * and of retries, on processors of one kind.
 */
public final class Exporter {

  private static final Logger log = LoggerFactory.getLogger(Exporter.class);

  private final ExportConfig config;
  private final BooleanSupplier stopped;

  /** An export that ends early once {@code stopped} is true; any thread may call that. */
  public Exporter(ExportConfig config, BooleanSupplier stopped) {
    this.config = config;
    this.stopped = stopped;
  }

  /**
   * Writes all shards of the part, or the missing ones.
   *
   * @return false: it was stopped before the last shard
   * @throws IOException the shards written so far are whole
   */
  public boolean run() throws IOException {
    if (config.begin() == config.end()) {
      log.info(
          "nothing to write: part {} of {} has none of the {} shards",
          config.part(),
          config.parts(),
          config.shards().number());
      return true;
    }
    ExportFolder folder = new ExportFolder(config.out());
    Optional<ExportManifest> agreed = folder.agreed();
    if (agreed.isPresent()) {
      ExportManifest.Builder mine = agreed.get().toBuilder();
      setOptions(mine);
      folder.requireSame(agreed.get(), mine.build());
    }
    Opened opened = open(folder, agreed);
    try (VerifiedNetworks networks = opened.networks) {
      if (stopped.getAsBoolean()) {
        log.warn("stopped before the first shard");
        return false;
      }
      ExportManifest theirs = folder.agree(opened.manifest);
      if (config.version() != 0
          || theirs.getModel().getVersion() == opened.manifest.getModel().getVersion()) {
        folder.requireSame(theirs, opened.manifest);
        return new ShardWriter(config, folder, stopped).write(opened.bundle, networks);
      }
    }
    // Another part has chosen another version in the meantime: this part follows.
    return run();
  }

  private record Opened(ModelBundle bundle, ExportManifest manifest, VerifiedNetworks networks) {}

  /** Opens and verifies the version to use. */
  private Opened open(ExportFolder folder, Optional<ExportManifest> agreed) throws IOException {
    List<Long> candidates = candidates(agreed);
    for (long version : candidates) {
      try {
        ModelBundle bundle = config.repository().open(config.model(), version);
        var unused = config.labelChoice(bundle); // Before it is opened, which takes longer.
        ExportManifest manifest = manifest(bundle);
        if (agreed.isPresent()) {
          folder.requireSame(agreed.get(), manifest);
        }
        return new Opened(bundle, manifest, openNetworks(bundle));
      } catch (InvalidModelException e) {
        if (candidates.size() == 1) {
          throw e;
        }
        log.error("skipped {}/{}: {}", config.model(), version, e.getMessage());
      }
    }
    throw new IOException(
        "cannot export %s: %s has no valid version; publish one"
            .formatted(config.model(), config.repository().root()));
  }

  private VerifiedNetworks openNetworks(ModelBundle bundle) throws IOException {
    // On a GPU the batch size may change an image by a grey level, so all parts of an export must
    // run the same size, and none is selected by measurement.
    if (config.isCuda()) {
      return VerifiedNetworks.openFixed(
          bundle, config.runtime(), config.sessions(), config.maxBatch());
    }
    int maxBatch = OnnxModel.largestBatch(bundle, config.runtime(), config.maxBatch());
    return VerifiedNetworks.open(bundle, config.runtime(), config.sessions(), maxBatch);
  }

  /** The version to use or, if neither options, parts nor a pin name one, all, newest first. */
  private List<Long> candidates(Optional<ExportManifest> agreed) throws IOException {
    List<Long> versions = config.repository().versions(config.model());
    if (versions.isEmpty()) {
      throw new IOException(
          "cannot export %s: %s holds no version of it"
              .formatted(config.model(), config.repository().root()));
    }
    long requested = config.version();
    if (requested == 0 && agreed.isPresent()) {
      requested = agreed.get().getModel().getVersion();
    }
    if (requested == 0) {
      // A server must serve something; an export never replaces the pinned version by another.
      OptionalLong pinned = config.repository().pinned(config.model());
      if (pinned.isEmpty()) {
        return versions;
      }
      requested = pinned.getAsLong();
      log.info("{} is pinned to version {}", config.model(), requested);
    }
    if (!versions.contains(requested)) {
      throw new IOException(
          "cannot export version %d of %s: %s has only %s"
              .formatted(requested, config.model(), config.repository().root(), versions));
    }
    return List.of(requested);
  }

  private void setOptions(ExportManifest.Builder manifest) {
    boolean cuda = config.isCuda();
    manifest
        .setSeed(config.seed())
        .setFirstIndex(config.shards().first())
        .setCount(config.shards().count())
        .setShardImages(config.shards().size())
        .setProvider(config.runtime().provider().toString())
        .setMaxBatch(cuda ? config.maxBatch() : 0)
        .setAllowTf32(cuda && config.runtime().tf32())
        .clearLabels()
        .addAllLabels(config.labels());
    ModelVersion.Builder model = manifest.getModelBuilder().setName(config.model());
    if (config.version() != 0) {
      model.setVersion(config.version());
    }
  }

  private ExportManifest manifest(ModelBundle bundle) {
    ExportManifest.Builder manifest =
        ExportManifest.newBuilder()
            .setFormatVersion(ExportFolder.FORMAT_VERSION)
            .setModel(bundle.manifest().getModel())
            .setShape(bundle.shape().toProto())
            .addAllClasses(
                bundle.manifest().getClassesList().stream().map(ImageClass::getName).toList());
    setOptions(manifest);
    return manifest.build();
  }
}
