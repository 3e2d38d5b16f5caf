package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ImageShape;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * The memory outside the heap that one lane reads and writes. A buffer is allocated when the first
 * run needs it and grows with the largest run, up to {@code maxBatch}: most lanes never return
 * floats, and few run the largest batch. Not thread-safe.
 */
final class GeneratorMemory {

  private static final ByteBuffer NONE = ByteBuffer.allocateDirect(0);

  private final int latentSize;
  private final ImageShape shape;
  private final int maxBatch;

  // Mutable state
  private ByteBuffer latents = NONE;
  private ByteBuffer pixels = NONE;
  private ByteBuffer floats = NONE;

  /**
   * Nothing is allocated yet.
   *
   * @throws IOException a batch of this size does not fit into one buffer
   */
  GeneratorMemory(int latentSize, ImageShape shape, int maxBatch) throws IOException {
    this.latentSize = latentSize;
    this.shape = shape;
    this.maxBatch = maxBatch;
    long bytes = (long) maxBatch * Math.max(latentSize * Float.BYTES, imageBytes(Output.FLOATS));
    if (bytes > Integer.MAX_VALUE) {
      throw new IOException(
          "a batch of %d images of %s takes %d bytes; expected at most %d: lower --max-batch"
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

  /** Room for n latents, from its position to its limit. */
  FloatBuffer latents(int n) {
    latents = withRoom(latents, n, latentSize * Float.BYTES);
    return latents.asFloatBuffer();
  }

  /** Room for n images, from its position to its limit. */
  ByteBuffer images(Output output, int n) {
    if (output == Output.PIXELS) {
      pixels = withRoom(pixels, n, imageBytes(output));
      return pixels;
    }
    floats = withRoom(floats, n, imageBytes(output));
    return floats;
  }

  /** Gives up what is allocated; the next run allocates what it needs. */
  void clear() {
    latents = NONE;
    pixels = NONE;
    floats = NONE;
  }

  private ByteBuffer withRoom(ByteBuffer buffer, int n, int bytesEach) {
    ByteBuffer room = buffer;
    if (room.capacity() < n * bytesEach) {
      int grown = Math.min(maxBatch, Integer.highestOneBit(2 * n - 1));
      room = ByteBuffer.allocateDirect(Math.max(n, grown) * bytesEach);
    }
    return room.clear().limit(n * bytesEach).order(ByteOrder.nativeOrder());
  }
}
