package dev.dcgan.sampler.export;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.model.ModelRepository;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.runtime.OnnxModel;
import dev.dcgan.sampler.runtime.Provider;
import dev.dcgan.v1.ExportManifest;
import dev.dcgan.v1.ModelVersion;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes one part of an export: a block of whole shards.
 *
 * <p>The shards of all parts together are the same files, byte for byte, however many parts there
 * are and however often one is tried, on processors of one kind. The calling thread writes; the
 * threads of a {@link PngQueue} make what it writes.
 */
public final class Exporter {

  /**
   * What to write.
   *
   * @param version 0: the one that the export was begun with, else the one that is pinned, else the
   *     newest valid one
   * @param part 0 to parts - 1
   * @param keepExisting leave shards that are there
   * @param sessions that run side by side
   */
  public record Config(
      ModelRepository repository,
      String model,
      long version,
      long seed,
      Shards shards,
      int part,
      int parts,
      Path out,
      boolean keepExisting,
      OnnxModel.Settings runtime,
      int sessions,
      int maxBatch) {}

  private static final Logger log = LoggerFactory.getLogger("export");
  // On the CPU, where a chunk may have any size: small ones, so that little is under way.
  private static final int CHUNK_BYTES = 1 << 20;

  private final Config config;
  private final BooleanSupplier stopped;
  private final int begin;
  private final int end;

  /** An export that ends early once {@code stopped} is true. Any thread asks. */
  public Exporter(Config config, BooleanSupplier stopped) {
    this.config = config;
    this.stopped = stopped;
    this.begin = config.shards.begin(config.part, config.parts);
    this.end = config.shards.begin(config.part + 1, config.parts);
  }

  /**
   * Writes all shards of the part that are to be written.
   *
   * @return whether they are; false: it was stopped
   * @throws IOException what was written before are whole shards
   */
  public boolean run() throws IOException {
    if (begin == end) {
      log.info(
          "nothing to do: part {} of {} has none of the {} shards",
          config.part,
          config.parts,
          config.shards.number());
      return true;
    }
    ExportFolder folder = new ExportFolder(config.out);
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
      ExportManifest there = folder.agree(opened.manifest);
      if (config.version != 0
          || there.getModel().getVersion() == opened.manifest.getModel().getVersion()) {
        folder.requireSame(there, opened.manifest);
        return write(folder, opened.bundle, networks);
      }
    }
    // Meanwhile another part chose another version: this one follows.
    return run();
  }

  private record Opened(ModelBundle bundle, ExportManifest manifest, VerifiedNetworks networks) {}

  /** Opens and verifies the version to use. */
  private Opened open(ExportFolder folder, Optional<ExportManifest> agreed) throws IOException {
    List<Long> versions = versions(agreed);
    for (long version : versions) {
      try {
        ModelBundle bundle = config.repository.open(config.model, version);
        ExportManifest manifest = manifest(bundle);
        if (agreed.isPresent()) {
          folder.requireSame(agreed.get(), manifest);
        }
        return new Opened(bundle, manifest, openNetworks(bundle));
      } catch (InvalidModelException e) {
        if (versions.size() == 1) {
          throw e;
        }
        log.error("skipped {}/{}: {}", config.model, version, e.getMessage());
      }
    }
    throw new IOException(
        "no version of %s in %s can be used".formatted(config.model, config.repository.root()));
  }

  private VerifiedNetworks openNetworks(ModelBundle bundle) throws IOException {
    // On a GPU the batch size may change an image by a grey level. All parts of an export must run
    // the same size, so none is chosen by measurement.
    return config.runtime.provider() == Provider.CUDA
        ? VerifiedNetworks.openFixed(bundle, config.runtime, config.sessions, config.maxBatch)
        : VerifiedNetworks.open(bundle, config.runtime, config.sessions, config.maxBatch);
  }

  /** The version to use or, where no one says which, all of them, newest first. */
  private List<Long> versions(Optional<ExportManifest> agreed) throws IOException {
    List<Long> there = config.repository.versions(config.model);
    if (there.isEmpty()) {
      throw new IOException(
          "%s holds no version of %s".formatted(config.repository.root(), config.model));
    }
    long wanted = config.version;
    if (wanted == 0 && agreed.isPresent()) {
      wanted = agreed.get().getModel().getVersion();
    }
    if (wanted == 0) {
      // Unlike a server, which must serve something, an export takes no other than the pinned one.
      OptionalLong pinned = config.repository.pinned(config.model);
      if (pinned.isEmpty()) {
        return there;
      }
      wanted = pinned.getAsLong();
      log.info("{} is pinned to version {}", config.model, wanted);
    }
    if (!there.contains(wanted)) {
      throw new IOException(
          "%s holds no version %d of %s; it has %s"
              .formatted(config.repository.root(), wanted, config.model, there));
    }
    return List.of(wanted);
  }

  private void setOptions(ExportManifest.Builder manifest) {
    boolean cuda = config.runtime.provider() == Provider.CUDA;
    manifest
        .setSeed(config.seed)
        .setFirstIndex(config.shards.first())
        .setCount(config.shards.count())
        .setShardImages(config.shards.size())
        .setProvider(config.runtime.provider().toString())
        .setMaxBatch(cuda ? config.maxBatch : 0)
        .setAllowTf32(cuda && config.runtime.tf32());
    ModelVersion.Builder model = manifest.getModelBuilder().setName(config.model);
    if (config.version != 0) {
      model.setVersion(config.version);
    }
  }

  private ExportManifest manifest(ModelBundle bundle) {
    ExportManifest.Builder manifest =
        ExportManifest.newBuilder()
            .setFormatVersion(ExportFolder.FORMAT_VERSION)
            .setModel(bundle.manifest().getModel())
            .setShape(bundle.shape().toProto());
    setOptions(manifest);
    return manifest.build();
  }

  /** Writes the shards of networks that are open. */
  boolean write(ExportFolder folder, ModelBundle bundle, VerifiedNetworks networks)
      throws IOException {
    List<Integer> shards = new ArrayList<>();
    HashSet<Path> own = new HashSet<>();
    for (int shard = begin; shard < end; shard++) {
      Path file = folder.shard(config.model, shard);
      own.add(file);
      if (!config.keepExisting || Files.notExists(file)) {
        shards.add(shard);
      }
    }
    folder.removeLeftovers(own);
    log.info(
        "part {} of {}: shards {} to {} of {}, {} of them there already, from {} with seed {} on {}",
        config.part,
        config.parts,
        begin,
        end - 1,
        config.shards.number(),
        end - begin - shards.size(),
        bundle,
        Long.toUnsignedString(config.seed),
        config.runtime.provider());
    PngQueue.Cut cut = cut(bundle, networks);
    Progress progress =
        new Progress(images(shards).mapToLong(Range::count).sum(), System::nanoTime);
    int written = 0;
    try (PngQueue pngs =
        new PngQueue(
            networks.networks(),
            bundle.shape(),
            config.seed,
            chunks(shards, cut.chunk()),
            cut,
            stopped)) {
      for (int shard : shards) {
        write(folder.shard(config.model, shard), config.shards.images(shard), pngs, progress);
        written++;
      }
    } catch (CancellationException e) {
      log.warn(
          "stopped: {} of {} shards are written; start again with --keep-existing to write the others",
          written,
          shards.size());
      return false;
    } catch (IllegalStateException e) {
      throw OnnxModel.failure(bundle.folder(), e);
    }
    log.info("wrote {} shards, {}", written, progress.summary());
    return true;
  }

  private static void write(Path file, Range images, PngQueue pngs, Progress progress)
      throws IOException {
    try {
      AtomicFiles.replace(file, channel -> write(channel, images, pngs, progress));
    } catch (NoSuchFileException e) {
      throw new IOException(
          "cannot write %s: its temporary file is gone, as where another process begins the same part; start one process a part"
              .formatted(file),
          e);
    } catch (IOException e) {
      throw ExportFolder.cannotWrite(file, e);
    }
  }

  private static void write(FileChannel channel, Range images, PngQueue pngs, Progress progress)
      throws IOException {
    // Not closed where it fails: that would write the end of a whole shard.
    TarShard tar = new TarShard(Channels.newOutputStream(channel));
    for (int i = 0; i < images.count(); ) {
      List<byte[]> next = take(pngs);
      for (byte[] png : next) {
        tar.add(images.first() + i++, png);
      }
      progress.add(next.size());
    }
    tar.finish();
  }

  private static List<byte[]> take(PngQueue pngs) {
    try {
      return pngs.take();
    } catch (InterruptedException e) {
      throw new IllegalStateException("the exporting thread is nobody's to interrupt", e);
    }
  }

  /**
   * With fixed batch sizes, on a GPU, a chunk is a run, and all runs are of one size, so that a
   * shard is made the same way each time. On the CPU, where an image is the same in any company, a
   * run is as large as was found to pay.
   */
  private PngQueue.Cut cut(ModelBundle bundle, VerifiedNetworks networks) {
    int cores = Runtime.getRuntime().availableProcessors();
    if (networks.times().hasBuckets()) {
      int size = networks.times().largest();
      return new PngQueue.Cut(size, size, config.sessions + cores);
    }
    int run = networks.times().best();
    int chunk = Math.max(run, Math.min(config.maxBatch, CHUNK_BYTES / bundle.shape().values()));
    return new PngQueue.Cut(chunk, run, Math.max(config.sessions, cores));
  }

  private Stream<Range> images(List<Integer> shards) {
    return shards.stream().map(config.shards::images);
  }

  private Iterator<Range> chunks(List<Integer> shards, int size) {
    return images(shards)
        .flatMap(
            shard -> IntStream.range(0, shard.pieces(size)).mapToObj(i -> shard.piece(i, size)))
        .iterator();
  }
}
