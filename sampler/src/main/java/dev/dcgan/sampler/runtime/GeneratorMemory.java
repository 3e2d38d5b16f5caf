package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * The direct buffers of one lane. A buffer is allocated when the first run needs it and grows with
 * the largest run, up to {@code maxBatch}: most lanes never return floats, and few run the largest
 * batch. Not thread-safe.
 */
final class GeneratorMemory {

  private static final ByteBuffer EMPTY = ByteBuffer.allocateDirect(0);

  private final int latentSize;
  private final ImageShape shape;
  private final int maxBatch;

  // Mutable state
  private ByteBuffer latents = EMPTY;
  private ByteBuffer pixels = EMPTY;
  private ByteBuffer floats = EMPTY;

  /**
   * Nothing is allocated yet.
   *
   * @throws IOException the largest batch does not fit into one buffer
   */
  GeneratorMemory(int latentSize, ImageShape shape, int maxBatch) throws IOException {
    this.latentSize = latentSize;
    this.shape = shape;
    this.maxBatch = maxBatch;
    long bytes = (long) maxBatch * Math.max(latentSize * Float.BYTES, imageBytes(Output.FLOATS));
    if (bytes > Integer.MAX_VALUE) {
      throw new IOException(
          "cannot allocate %d images of %s: a batch takes %d bytes; expected at most %d: lower --max-batch"
              .formatted(maxBatch, shape, bytes, Integer.MAX_VALUE));
    }
  }

  int latentSize() {
    return latentSize;
  }

  ImageShape shape() {
    return shape;
  }

  int imageBytes(Output output) {
    return output == Output.PIXELS ? shape.values() : shape.values() * Float.BYTES;
  }

  /** The buffer for n latents, from its position to its limit. */
  FloatBuffer latents(int n) {
    latents = withCapacity(latents, n, latentSize * Float.BYTES);
    return latents.asFloatBuffer();
  }

  /** The buffer for n images, from its position to its limit. */
  ByteBuffer images(Output output, int n) {
    if (output == Output.PIXELS) {
      pixels = withCapacity(pixels, n, imageBytes(output));
      return pixels;
    }
    floats = withCapacity(floats, n, imageBytes(output));
    return floats;
  }

  /** Releases the buffers; the next run allocates what it needs. */
  void clear() {
    latents = EMPTY;
    pixels = EMPTY;
    floats = EMPTY;
  }

  private ByteBuffer withCapacity(ByteBuffer buffer, int n, int bytesEach) {
    ByteBuffer large = buffer;
    if (large.capacity() < n * bytesEach) {
      int grown = Math.min(maxBatch, Integer.highestOneBit(2 * n - 1));
      large = ByteBuffer.allocateDirect(Math.max(n, grown) * bytesEach);
    }
    return large.clear().limit(n * bytesEach).order(ByteOrder.nativeOrder());
  }
}
