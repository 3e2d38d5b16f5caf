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
 * The pictures of some epochs, batch by batch, read ahead of the caller on threads of its own.
 *
 * <p>Batches come in exactly the order asked for, whichever thread was done first; an epoch's last
 * one is smaller where the pictures don't divide. At most {@link #AHEAD} wait ready, in as many
 * buffers and one more, which are used over and over. One thread at a time may call; the threads in
 * here each fill one batch at a time and share nothing but the dataset.
 */
public final class Batches implements Closeable {

  /**
   * The latents that a batch's training step needs, drawn on the reader threads and placed behind
   * its images: all that a step needs then goes to the device at once.
   */
  public interface Noise {

    /** No noise. */
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

    /** The number of values for each image. */
    int size();

    /** The values for a batch of {@code n} images, by its place; several threads call it. */
    float[] draw(int epoch, int first, int n);
  }

  /** Batches read ahead: enough to ride out a slow read while a step is computed. */
  static final int AHEAD = 3;

  // More than one, so that reads of a disk overlap; few, since the CPU's cores train too.
  private static final int THREADS = 2;
  private static final int PATIENCE_SECONDS = 10;

  private final ImageDataset data;
  private final int batchSize;
  private final Noise noise;
  private final IntFunction<int[]> orderOfEpoch;
  private final int lastEpoch;
  private final ExecutorService readers =
      Executors.newFixedThreadPool(THREADS, Threads.named("pictures"));

  // Mutable state, all the caller's thread's; a buffer is a reader's while it is filled.
  private final ArrayDeque<Future<Batch>> ahead = new ArrayDeque<>();
  private int epoch;
  private int[] order;
  private int first;
  private @Nullable ByteBuffer lent;

  /**
   * Starts to read.
   *
   * @param batchSize pictures a batch, 1 or more
   * @param noise to place behind each batch's images
   * @param orderOfEpoch which pictures an epoch has, in order: positions in the dataset, at least
   *     one; asked once for each epoch, on the caller's thread
   * @param firstEpoch to begin with
   * @param lastEpoch to end with, {@code firstEpoch} or later
   * @param firstStep how many batches of the first epoch to pass over, fewer than it has
   * @throws IllegalArgumentException outside these ranges
   */
  public Batches(
      ImageDataset data,
      int batchSize,
      Noise noise,
      IntFunction<int[]> orderOfEpoch,
      int firstEpoch,
      int lastEpoch,
      int firstStep) {
    if (batchSize < 1 || firstStep < 0 || lastEpoch < firstEpoch) {
      throw new IllegalArgumentException(
          "batches of %d from step %d of epoch %d to epoch %d"
              .formatted(batchSize, firstStep, firstEpoch, lastEpoch));
    }
    this.data = data;
    this.batchSize = batchSize;
    this.noise = noise;
    this.orderOfEpoch = orderOfEpoch;
    this.lastEpoch = lastEpoch;
    epoch = firstEpoch;
    order = orderOfEpoch.apply(firstEpoch);
    if ((long) firstStep * batchSize >= order.length) {
      throw new IllegalArgumentException(
          "step %d of an epoch of %d pictures in batches of %d"
              .formatted(firstStep, order.length, batchSize));
    }
    first = firstStep * batchSize;
    int bytes = Math.multiplyExact(batchSize, bytesPerImage());
    for (int i = 0; i <= AHEAD && epoch <= lastEpoch; i++) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
      if (i < AHEAD) {
        readAhead(buffer);
      } else {
        lent = buffer; // to begin with: the first call finds a buffer to read on into
      }
    }
  }

  /** Whether a batch is left. */
  public boolean hasNext() {
    return !ahead.isEmpty();
  }

  /**
   * The next batch, waiting for it where it is not ready; takes back the one before.
   *
   * @throws IOException a picture cannot be read; or the thread was interrupted, and still is.
   *     Nothing is left to do then but to close
   * @throws NoSuchElementException after the last
   */
  public Batch next() throws IOException {
    if (lent != null && epoch <= lastEpoch) {
      readAhead(lent);
    }
    lent = null;
    try {
      Batch batch = ahead.remove().get();
      lent = batch.values();
      return batch;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for pictures");
    } catch (ExecutionException e) {
      throw failure(e);
    }
  }

  /** Stops the threads, whatever they are at. */
  @Override
  public void close() {
    readers.shutdownNow();
    ahead.clear();
    try {
      // They look up after each picture.
      readers.awaitTermination(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void readAhead(ByteBuffer buffer) {
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
    ahead.add(readers.submit(() -> fill(batch)));
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
    return (data.shape().values() + noise.size()) * Float.BYTES;
  }

  private Batch fill(Batch batch) throws IOException {
    float[] picture = new float[data.shape().values()];
    FloatBuffer floats = batch.values().asFloatBuffer();
    for (int position : batch.positions()) {
      if (Thread.interrupted()) {
        throw new InterruptedIOException("closed while reading pictures");
      }
      data.copyNormalised(position, picture, 0);
      floats.put(picture);
    }
    floats.put(noise.draw(batch.epoch(), batch.first(), batch.size()));
    return batch;
  }

  private static IOException failure(ExecutionException e) {
    if (e.getCause() instanceof IOException failed) {
      return failed;
    }
    throw new IllegalStateException("reading pictures failed", e.getCause());
  }
}
