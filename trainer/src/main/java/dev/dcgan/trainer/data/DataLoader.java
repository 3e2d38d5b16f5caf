package dev.dcgan.trainer.data;

import dev.dcgan.server.Threads;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.NoSuchElementException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Loads the mini-batches of consecutive epochs, prefetched by worker threads.
 *
 * <p>Batches arrive in the requested order, whichever worker finishes first. The last batch of an
 * epoch is smaller if the batch size does not divide the number of images. At most {@link
 * #MAX_PREFETCHED} batches wait, in one buffer each; with one more buffer, for the batch in use,
 * they are reused all the time. Only one thread at a time may call; the workers share nothing but
 * the dataset.
 */
public final class DataLoader implements Closeable {

  /**
   * The latents for a batch's training step. The workers draw them and place them behind the
   * images, so that one copy to the device brings all inputs of a step.
   */
  public interface Noise {

    /** No latents. */
    Noise NONE =
        new Noise() {
          @Override
          public int size() {
            return 0;
          }

          @Override
          public float[] draw(int epoch, int first, int n) {
            return new float[0];
          }
        };

    /** The number of values per image. */
    int size();

    /**
     * Draws the values for a batch of {@code n} images at a position of an epoch; called by several
     * threads.
     */
    float[] draw(int epoch, int first, int n);
  }

  /** Which images are mirrored left to right; called by several threads. */
  @FunctionalInterface
  public interface Mirroring {

    /** No image. */
    Mirroring NONE = (epoch, place) -> false;

    /** Whether the image at a place in the order of an epoch is. */
    boolean isMirrored(int epoch, int place);
  }

  /** Enough to hide a slow read behind the steps computed meanwhile. */
  static final int MAX_PREFETCHED = 3;

  // More than one, so that disk reads overlap; few, because the CPU's cores train too.
  private static final int WORKERS = 2;
  private static final int MAX_CLOSE_SECONDS = 10;

  private final ImageDataset data;
  private final int batchSize;
  private final Noise noise;
  private final int @Nullable [] labels;
  private final Mirroring mirroring;
  private final IntFunction<int[]> orderOfEpoch;
  private final int lastEpoch;
  private final ExecutorService workers =
      Executors.newFixedThreadPool(WORKERS, Threads.named("data-loader"));

  // Mutable state, used by the caller's thread; a buffer is a worker's while it is filled
  private final ArrayDeque<Future<Batch>> prefetched = new ArrayDeque<>();
  private int epoch;
  private int[] order;
  private int first;
  private @Nullable ByteBuffer inUse;

  /**
   * Starts to prefetch batches without labels, of images as they are.
   *
   * @param batchSize images per batch, at least 1
   * @param noise the latents to place behind each batch's images
   * @param orderOfEpoch maps an epoch to its images in order: indices in the dataset, at least one;
   *     called once per epoch, on the caller's thread
   * @param firstEpoch the epoch to begin with
   * @param lastEpoch the epoch to end with, {@code firstEpoch} or later
   * @param skippedBatches how many batches of the first epoch to skip, fewer than it has
   * @throws IllegalArgumentException if an argument is out of its range
   */
  public DataLoader(
      ImageDataset data,
      int batchSize,
      Noise noise,
      IntFunction<int[]> orderOfEpoch,
      int firstEpoch,
      int lastEpoch,
      int skippedBatches) {
    this(
        data,
        batchSize,
        noise,
        null,
        Mirroring.NONE,
        orderOfEpoch,
        firstEpoch,
        lastEpoch,
        skippedBatches);
  }

  /**
   * As above.
   *
   * @param labels the label of each image of the dataset, to place behind the latents; null for
   *     none
   */
  public DataLoader(
      ImageDataset data,
      int batchSize,
      Noise noise,
      int @Nullable [] labels,
      Mirroring mirroring,
      IntFunction<int[]> orderOfEpoch,
      int firstEpoch,
      int lastEpoch,
      int skippedBatches) {
    if (batchSize < 1 || skippedBatches < 0 || lastEpoch < firstEpoch) {
      throw new IllegalArgumentException(
          "batches of %d from batch %d of epoch %d to epoch %d"
              .formatted(batchSize, skippedBatches, firstEpoch, lastEpoch));
    }
    this.data = data;
    this.batchSize = batchSize;
    this.noise = noise;
    this.labels = labels;
    this.mirroring = mirroring;
    this.orderOfEpoch = orderOfEpoch;
    this.lastEpoch = lastEpoch;
    epoch = firstEpoch;
    order = orderOfEpoch.apply(firstEpoch);
    if ((long) skippedBatches * batchSize >= order.length) {
      throw new IllegalArgumentException(
          "batch %d of an epoch of %d images in batches of %d"
              .formatted(skippedBatches, order.length, batchSize));
    }
    first = skippedBatches * batchSize;
    int bytes = Math.multiplyExact(batchSize, bytesPerImage());
    for (int i = 0; i <= MAX_PREFETCHED && epoch <= lastEpoch; i++) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
      if (i < MAX_PREFETCHED) {
        prefetch(buffer);
      } else {
        inUse = buffer; // the first call of next() prefetches into it
      }
    }
  }

  /** Whether there is another batch. */
  public boolean hasNext() {
    return !prefetched.isEmpty();
  }

  /**
   * Returns the next batch, waiting if it is not ready; the previous batch becomes invalid.
   *
   * @throws IOException if an image cannot be read, or the thread is interrupted (the flag stays
   *     set); the loader can only be closed then
   * @throws NoSuchElementException after the last batch
   */
  public Batch next() throws IOException {
    if (inUse != null && epoch <= lastEpoch) {
      prefetch(inUse);
    }
    inUse = null;
    try {
      Batch batch = prefetched.remove().get();
      inUse = batch.values();
      return batch;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for images");
    } catch (ExecutionException e) {
      throw failure(e);
    }
  }

  /** Stops the workers. */
  @Override
  public void close() {
    workers.shutdownNow();
    prefetched.clear();
    try {
      // They check for an interrupt after each image.
      workers.awaitTermination(MAX_CLOSE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void prefetch(ByteBuffer buffer) {
    int end = Math.min(first + batchSize, order.length);
    int[] positions = Arrays.copyOfRange(order, first, end);
    boolean last = end == order.length;
    Batch batch =
        new Batch(
            epoch,
            first,
            positions,
            last,
            buffer.clear().limit(positions.length * bytesPerImage()));
    prefetched.add(workers.submit(() -> fill(batch)));
    first = end;
    if (last) {
      epoch++;
      first = 0;
      if (epoch <= lastEpoch) {
        order = orderOfEpoch.apply(epoch);
      }
    }
  }

  private int bytesPerImage() {
    int label = labels == null ? 0 : 1;
    return (data.shape().values() + noise.size() + label) * Float.BYTES;
  }

  private Batch fill(Batch batch) throws IOException {
    float[] image = new float[data.shape().values()];
    FloatBuffer floats = batch.values().asFloatBuffer();
    for (int i = 0; i < batch.size(); i++) {
      if (Thread.interrupted()) {
        throw new InterruptedIOException("interrupted while reading images");
      }
      data.copyNormalized(batch.positions()[i], image, 0);
      if (mirroring.isMirrored(batch.epoch(), batch.first() + i)) {
        mirror(image, data.shape().width());
      }
      floats.put(image);
    }
    floats.put(noise.draw(batch.epoch(), batch.first(), batch.size()));
    if (labels != null) {
      for (int position : batch.positions()) {
        floats.put((float) labels[position]);
      }
    }
    return batch;
  }

  /** Reverses each row of an image (channels, height, width). */
  private static void mirror(float[] image, int width) {
    for (int row = 0; row < image.length; row += width) {
      for (int left = row, right = row + width - 1; left < right; left++, right--) {
        float moved = image[left];
        image[left] = image[right];
        image[right] = moved;
      }
    }
  }

  private static IOException failure(ExecutionException e) {
    if (e.getCause() instanceof IOException failed) {
      return failed;
    }
    throw new IllegalStateException("cannot read images", e.getCause());
  }
}
