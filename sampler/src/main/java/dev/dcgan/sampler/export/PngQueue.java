package dev.dcgan.sampler.export;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.image.ImageEncoder;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.scheduling.Images;
import dev.dcgan.sampler.scheduling.Network;
import dev.dcgan.sampler.scheduling.Output;
import dev.dcgan.server.Threads;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * PNGs of images, in order, made ahead of the thread that takes them.
 *
 * <p>Each thread started here makes a chunk, from its latents to its PNGs, and holds a network only
 * while that runs. At most twice as many chunks as threads are in progress or ready, so memory does
 * not depend on the number of images. Batches are cut the same way each time, because on a GPU the
 * batch size may change an image by a grey level.
 *
 * <p>The queue must be closed before the networks.
 */
final class PngQueue implements AutoCloseable {

  /**
   * How the work is divided.
   *
   * @param chunk images that one thread makes
   * @param run images per run of a network
   * @param threads that make chunks
   */
  record Chunking(int chunk, int run, int threads) {}

  /** The latents and labels of one run. */
  @SuppressWarnings("ArrayRecordComponent") // Never compared.
  private record Inputs(float[] latents, long[] labels) {}

  private final ImageShape shape;
  private final int latentSize;
  private final long seed;
  private final LabelChoice labels;
  private final Chunking chunking;
  private final BooleanSupplier stopped;
  private final BlockingQueue<Network> idle;
  private final ExecutorService threads;
  private final Iterator<Range> chunks;

  // Mutable state, confined to the thread that takes
  private final Deque<Future<List<byte[]>>> inProgress = new ArrayDeque<>();

  /**
   * Starts to make images.
   *
   * @param networks sessions of the same network, each for one run at a time
   * @param labels of the images
   * @param chunks in the order in which they are taken
   * @param stopped once it is true, no further run begins, and {@link #take} fails
   */
  PngQueue(
      List<Network> networks,
      ImageShape shape,
      long seed,
      LabelChoice labels,
      Iterator<Range> chunks,
      Chunking chunking,
      BooleanSupplier stopped) {
    this.shape = shape;
    this.latentSize = networks.get(0).latentSize();
    this.seed = seed;
    this.labels = labels;
    this.chunking = chunking;
    this.stopped = stopped;
    this.chunks = chunks;
    this.idle = new ArrayBlockingQueue<>(networks.size(), false, networks);
    this.threads = Executors.newFixedThreadPool(chunking.threads, Threads.named("export"));
    fill();
  }

  /**
   * The PNGs of the next chunk.
   *
   * @throws CancellationException the export was stopped
   */
  List<byte[]> take() throws InterruptedException {
    try {
      List<byte[]> pngs = inProgress.remove().get();
      fill();
      return pngs;
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException fault) {
        throw fault;
      }
      if (e.getCause() instanceof Error fault) {
        throw fault;
      }
      throw new IllegalStateException("cannot make a chunk of images", e);
    }
  }

  /** Waits for running networks, which must not be closed. */
  @Override
  public void close() {
    threads.shutdownNow();
    try {
      while (!threads.awaitTermination(1, TimeUnit.HOURS)) {}
    } catch (InterruptedException e) {
      throw new IllegalStateException("the exporting thread must not be interrupted", e);
    }
  }

  private void fill() {
    while (inProgress.size() < 2 * chunking.threads && chunks.hasNext()) {
      Range chunk = chunks.next();
      inProgress.add(threads.submit(() -> make(chunk)));
    }
  }

  private List<byte[]> make(Range chunk) throws InterruptedException {
    List<Inputs> inputs = new ArrayList<>();
    for (int i = 0; i < chunk.pieces(chunking.run); i++) {
      inputs.add(inputs(chunk.piece(i, chunking.run)));
    }
    List<byte[]> pngs = new ArrayList<>(chunk.count());
    for (Images images : run(inputs)) {
      for (int i = 0; i < images.count(); i++) {
        pngs.add(ImageEncoder.png(shape, images.bytes(), i * shape.values()));
      }
    }
    return pngs;
  }

  private Inputs inputs(Range images) {
    long[] label = labels.hasClasses() ? new long[images.count()] : Network.NO_LABELS;
    for (int i = 0; i < label.length; i++) {
      label[i] = labels.label(seed, images.first() + i);
    }
    float[] z = new float[images.count() * latentSize];
    for (int i = 0; i < images.count(); i++) {
      Latents.fill(seed, images.first() + i, z, i * latentSize, latentSize);
    }
    return new Inputs(z, label);
  }

  private List<Images> run(List<Inputs> inputs) throws InterruptedException {
    List<Images> made = new ArrayList<>(inputs.size());
    Network network = idle.take();
    try {
      for (Inputs run : inputs) {
        if (stopped.getAsBoolean() || Thread.currentThread().isInterrupted()) {
          throw new CancellationException("stopped");
        }
        made.add(network.generate(run.latents, run.labels, Output.PIXELS));
      }
      return made;
    } finally {
      idle.add(network);
    }
  }
}
