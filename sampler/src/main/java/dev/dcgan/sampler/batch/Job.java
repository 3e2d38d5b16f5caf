package dev.dcgan.sampler.batch;

import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * One caller's images, from their latents to the last byte.
 *
 * <p>The scheduling fields are guarded by the lock of the batcher that holds the job; the result is
 * touched by the inference thread alone until the job is complete.
 */
final class Job {

  final float[] latents;
  final int latentSize;
  final int count;
  final Output output;
  final int imageBytes;
  final CompletableFuture<Images> future = new CompletableFuture<>();

  // Mutable state
  long arrived;
  boolean alone;
  int taken;
  int done;
  private byte @Nullable [] result;

  Job(Network network, float[] latents, Output output) {
    this.latents = latents;
    this.latentSize = network.latentSize();
    this.count = latents.length / latentSize;
    this.output = output;
    this.imageBytes = network.imageBytes(output);
    if (count < 1 || count * latentSize != latents.length) {
      throw new IllegalArgumentException(
          "%d floats; expected one or more latents of %d".formatted(latents.length, latentSize));
    }
  }

  /** Made on first use, so that a queue full of jobs holds no room for their images. */
  byte[] result() {
    if (result == null) {
      result = new byte[Math.multiplyExact(count, imageBytes)];
    }
    return result;
  }

  Images images() {
    return new Images(output, count, result());
  }
}
