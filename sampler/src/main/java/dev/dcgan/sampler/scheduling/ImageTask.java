package dev.dcgan.sampler.scheduling;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Images of a request that are queued together, from their latents to the last byte.
 *
 * <p>{@code taken} is guarded by the lock of the batcher that holds the job. Inference threads
 * write their slices' images side by side; whoever writes the last has the job completed.
 */
final class ImageTask {

  final QueuedRequest request;
  final float[] latents;
  final int latentSize;
  final int count;
  final Output output;
  final Executor answerer;
  final int imageBytes;
  final CompletableFuture<Images> future = new CompletableFuture<>();

  // Mutable state
  long arrived;
  int taken;
  private final AtomicInteger left;
  private byte @Nullable [] result;

  ImageTask(QueuedRequest request, Network network, float[] latents, Output output, Executor answerer) {
    this.request = request;
    this.latents = latents;
    this.latentSize = network.latentSize();
    this.count = latents.length / latentSize;
    this.output = output;
    this.answerer = answerer;
    this.imageBytes = network.imageBytes(output);
    if (count < 1 || count * latentSize != latents.length) {
      throw new IllegalArgumentException(
          "%d floats; expected one or more latents of %d".formatted(latents.length, latentSize));
    }
    this.left = new AtomicInteger(count);
  }

  /** Made on first use, so that a queue full of jobs holds no room for their images. */
  synchronized byte[] result() {
    if (result == null) {
      result = new byte[Math.multiplyExact(count, imageBytes)];
    }
    return result;
  }

  /** So many more images are in the result; true: those were the last. */
  boolean made(int images) {
    return left.addAndGet(-images) == 0;
  }

  void complete() {
    future.complete(images());
  }

  Images images() {
    return new Images(output, count, result());
  }
}
