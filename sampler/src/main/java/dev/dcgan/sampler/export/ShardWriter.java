package dev.dcgan.sampler.export;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.models.VerifiedNetworks;
import dev.dcgan.sampler.runtime.RuntimeFailure;
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
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes the shards of one part, in order. The calling thread writes; the threads of a {@link
 * PngQueue} make what it writes.
 */
final class ShardWriter {

  private static final Logger log = LoggerFactory.getLogger(ShardWriter.class);
  // On the CPU, where a chunk may have any size: a small one, so that little is in progress.
  private static final int CHUNK_BYTES = 1 << 20;

  private final ExportConfig config;
  private final ExportFolder folder;
  private final BooleanSupplier stopped;

  ShardWriter(ExportConfig config, ExportFolder folder, BooleanSupplier stopped) {
    this.config = config;
    this.folder = folder;
    this.stopped = stopped;
  }

  /**
   * Writes all shards of the part, or the missing ones.
   *
   * @return false: it was stopped before the last shard
   * @throws IOException the shards written so far are whole
   */
  boolean write(ModelBundle bundle, VerifiedNetworks networks) throws IOException {
    List<Integer> shards = new ArrayList<>();
    Set<Path> own = new HashSet<>();
    for (int shard = config.begin(); shard < config.end(); shard++) {
      Path file = folder.shard(config.model(), shard);
      own.add(file);
      if (!config.keepExisting() || Files.notExists(file)) {
        shards.add(shard);
      }
    }
    folder.removeLeftovers(own);
    log.info(
        "part {} of {}: shards {} to {} of {}, {} of them exist, model {}, seed {}, provider {}",
        config.part(),
        config.parts(),
        config.begin(),
        config.end() - 1,
        config.shards().number(),
        own.size() - shards.size(),
        bundle,
        Long.toUnsignedString(config.seed()),
        config.runtime().provider());
    Progress progress =
        new Progress(images(shards).mapToLong(Range::count).sum(), System::nanoTime);
    PngQueue.Chunking chunking = chunking(bundle, networks);
    LabelChoice labels = config.labelChoice(bundle);
    int written = 0;
    try (PngQueue pngs =
        new PngQueue(
            networks.networks(),
            bundle.shape(),
            config.seed(),
            labels,
            chunks(shards, chunking.chunk()),
            chunking,
            stopped)) {
      for (int shard : shards) {
        Range images = config.shards().images(shard);
        write(folder.shard(config.model(), shard), images, labels, pngs, progress);
        written++;
      }
    } catch (CancellationException e) {
      log.warn(
          "stopped after {} of {} shards; start again with --keep-existing to write the others",
          written,
          shards.size());
      return false;
    } catch (IllegalStateException e) {
      throw RuntimeFailure.ofRun(bundle.folder(), e);
    }
    log.info("wrote {} shards, {}", written, progress.summary());
    return true;
  }

  private void write(Path file, Range images, LabelChoice labels, PngQueue pngs, Progress progress)
      throws IOException {
    try {
      AtomicFiles.replace(file, channel -> write(channel, images, labels, pngs, progress));
    } catch (NoSuchFileException e) {
      throw new IOException(
          "cannot write %s: another process that writes the same part has removed its temporary file; start one process per part"
              .formatted(file),
          e);
    } catch (IOException e) {
      throw ExportFolder.cannotWrite(file, e);
    }
  }

  private void write(
      FileChannel channel, Range images, LabelChoice labels, PngQueue pngs, Progress progress)
      throws IOException {
    // Not closed on failure: that would write the end of a whole shard.
    TarShard tar = new TarShard(Channels.newOutputStream(channel));
    for (int i = 0; i < images.count(); ) {
      List<byte[]> next = take(pngs);
      for (byte[] png : next) {
        long index = images.first() + i++;
        tar.addImage(index, png);
        if (labels.hasClasses()) {
          tar.addLabel(index, labels.label(config.seed(), index));
        }
      }
      progress.add(next.size());
    }
    tar.finish();
  }

  private static List<byte[]> take(PngQueue pngs) {
    try {
      return pngs.take();
    } catch (InterruptedException e) {
      throw new IllegalStateException("the exporting thread must not be interrupted", e);
    }
  }

  /**
   * With fixed batch sizes, on a GPU, a chunk is one run and all runs have one size, so that a
   * shard is made the same way each time. On the CPU, where images do not depend on their batch, a
   * run has the optimal batch size.
   */
  private PngQueue.Chunking chunking(ModelBundle bundle, VerifiedNetworks networks) {
    int cores = Runtime.getRuntime().availableProcessors();
    if (networks.profile().hasBuckets()) {
      int size = networks.profile().maxSize();
      return new PngQueue.Chunking(size, size, config.sessions() + cores);
    }
    int run = networks.profile().optimalBatchSize();
    int small = Math.min(config.maxBatch(), CHUNK_BYTES / bundle.shape().values());
    return new PngQueue.Chunking(Math.max(run, small), run, Math.max(config.sessions(), cores));
  }

  private Stream<Range> images(List<Integer> shards) {
    return shards.stream().map(config.shards()::images);
  }

  private Iterator<Range> chunks(List<Integer> shards, int size) {
    return images(shards)
        .flatMap(
            shard -> IntStream.range(0, shard.pieces(size)).mapToObj(i -> shard.piece(i, size)))
        .iterator();
  }
}
