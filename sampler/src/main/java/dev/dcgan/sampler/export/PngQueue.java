package dev.dcgan.sampler.export;

import dev.dcgan.latent.Latents;
import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.image.ImageEncoder;
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
 * PNGs of images, in order, made ahead of the one thread that takes them.
 *
 * <p>Threads started here each make a chunk from its latents to its PNGs; only in between, for as
 * long as it takes, does one of them hold a network. Twice as many chunks as there are threads are
 * under way or wait to be taken, no more: memory does not depend on how many images there are. Runs
 * of the network are cut the same way each time, because on a GPU the size of a batch may change an
 * image by a grey level.
 *
 * <p>Whoever made the queue closes it before the networks.
 */
final class PngQueue implements AutoCloseable {

  /**
   * How the images are cut.
   *
   * @param chunk images that one thread makes
   * @param run images that the network runs at once
   * @param threads that make chunks
   */
  record Cut(int chunk, int run, int threads) {}

  private final ImageShape shape;
  private final int latentSize;
  private final long seed;
  private final Cut cut;
  private final BooleanSupplier stopped;
  private final BlockingQueue<Network> idle;
  private final ExecutorService threads;
  private final Iterator<Range> chunks;

  // Mutable state, of the thread that takes
  private final Deque<Future<List<byte[]>>> underWay = new ArrayDeque<>();

  /**
   * Starts to make images.
   *
   * @param networks the same one, each for one run at a time
   * @param chunks in this order
   * @param stopped once it is true, no run begins any more, and {@link #take} fails
   */
  PngQueue(
      List<Network> networks,
      ImageShape shape,
      long seed,
      Iterator<Range> chunks,
      Cut cut,
      BooleanSupplier stopped) {
    this.shape = shape;
    this.latentSize = networks.get(0).latentSize();
    this.seed = seed;
    this.cut = cut;
    this.stopped = stopped;
    this.chunks = chunks;
    this.idle = new ArrayBlockingQueue<>(networks.size(), false, networks);
    this.threads = Executors.newFixedThreadPool(cut.threads, Threads.named("export"));
    fill();
  }

  /**
   * The PNGs of the next chunk.
   *
   * @throws CancellationException there are none: it was stopped
   */
  List<byte[]> take() throws InterruptedException {
    try {
      List<byte[]> pngs = underWay.remove().get();
      fill();
      return pngs;
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException fault) {
        throw fault;
      }
      if (e.getCause() instanceof Error fault) {
        throw fault;
      }
      throw new IllegalStateException("a chunk could not be made", e);
    }
  }

  /** Waits for the runs under way: a network that runs must not be closed. */
  @Override
  public void close() {
    threads.shutdownNow();
    try {
      while (!threads.awaitTermination(1, TimeUnit.HOURS)) {}
    } catch (InterruptedException e) {
      throw new IllegalStateException("the exporting thread is nobody's to interrupt", e);
    }
  }

  private void fill() {
    while (underWay.size() < 2 * cut.threads && chunks.hasNext()) {
      Range chunk = chunks.next();
      underWay.add(threads.submit(() -> make(chunk)));
    }
  }

  private List<byte[]> make(Range chunk) throws InterruptedException {
    List<float[]> latents = new ArrayList<>();
    for (int i = 0; i < chunk.pieces(cut.run); i++) {
      latents.add(latents(chunk.piece(i, cut.run)));
    }
    List<byte[]> pngs = new ArrayList<>(chunk.count());
    for (Images images : run(latents)) {
      for (int i = 0; i < images.count(); i++) {
        pngs.add(ImageEncoder.png(shape, images.bytes(), i * shape.values()));
      }
    }
    return pngs;
  }

  private float[] latents(Range images) {
    float[] z = new float[images.count() * latentSize];
    for (int i = 0; i < images.count(); i++) {
      Latents.fill(seed, images.first() + i, z, i * latentSize, latentSize);
    }
    return z;
  }

  private List<Images> run(List<float[]> latents) throws InterruptedException {
    List<Images> made = new ArrayList<>(latents.size());
    Network network = idle.take();
    try {
      for (float[] z : latents) {
        if (stopped.getAsBoolean() || Thread.currentThread().isInterrupted()) {
          throw new CancellationException("stopped");
        }
        made.add(network.generate(z, Output.PIXELS));
      }
      return made;
    } finally {
      idle.add(network);
    }
  }
}
