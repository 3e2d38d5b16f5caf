package dev.dcgan.sampler.scheduling;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Images that are queued together, from their latents and labels to the finished bytes.
 *
 * <p>{@code taken} is guarded by the lock of the scheduler that holds the task. Inference threads
 * write the images of their slices concurrently; the one that writes the last image has the task
 * completed.
 */
final class ImageTask {

  final float[] latents;
  final long[] labels;
  final int latentSize;
  final int count;
  final Output output;
  final Executor executor;
  final int imageBytes;
  final CompletableFuture<Images> future = new CompletableFuture<>();

  // Mutable state
  long arrival;

  /** When the first of its images left the queue; guarded as {@code taken} is. */
  long started;

  /** Images that batches have taken from the queue. */
  int taken;

  private final AtomicInteger imagesLeft;
  private byte @Nullable [] result;

  /**
   * A task that is not queued yet.
   *
   * @param latents (count, latentSize)
   * @param labels (count), or {@link Network#NO_LABELS}
   * @param imageBytes bytes in one image of the output
   * @param executor completes the future
   */
  ImageTask(
      float[] latents,
      long[] labels,
      int latentSize,
      Output output,
      int imageBytes,
      Executor executor) {
    this.latents = latents;
    this.labels = labels;
    this.latentSize = latentSize;
    this.count = latents.length / latentSize;
    this.output = output;
    this.imageBytes = imageBytes;
    this.executor = executor;
    if (count < 1 || count * latentSize != latents.length) {
      throw new IllegalArgumentException(
          "cannot queue %d floats: expected one or more latents of %d"
              .formatted(latents.length, latentSize));
    }
    if (labels.length != 0 && labels.length != count) {
      throw new IllegalArgumentException(
          "cannot queue %d labels: expected one for each of %d latents"
              .formatted(labels.length, count));
    }
    this.imagesLeft = new AtomicInteger(count);
  }

  /** Allocated on first use, so that a queue full of tasks holds no memory for their images. */
  synchronized byte[] result() {
    if (result == null) {
      result = new byte[Math.multiplyExact(count, imageBytes)];
    }
    return result;
  }

  /** Records images that are in the result now; true: they were the last ones. */
  boolean recordImages(int images) {
    return imagesLeft.addAndGet(-images) == 0;
  }

  void complete() {
    future.complete(images());
  }

  Images images() {
    return new Images(
        output, count, result(), new Images.Times(arrival, started, System.nanoTime()));
  }
}
