package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ImageShape;
import dev.dcgan.model.ModelBundle;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;

/**
 * The direct buffers of one lane. A buffer is allocated when the first run needs it and grows with
 * the largest run, up to {@code maxBatch}: most lanes never return floats, and few run the largest
 * batch. Not thread-safe.
 */
final class GeneratorMemory {

  private static final ByteBuffer EMPTY = ByteBuffer.allocateDirect(0);

  private final int latentSize;
  private final ImageShape shape;
  private final boolean conditional;
  private final int maxBatch;

  // Mutable state
  private ByteBuffer latents = EMPTY;
  private ByteBuffer labels = EMPTY;
  private ByteBuffer pixels = EMPTY;
  private ByteBuffer floats = EMPTY;

  /**
   * Nothing is allocated yet.
   *
   * @param conditional whether the generator takes labels
   * @throws IOException the largest batch does not fit into one buffer
   */
  GeneratorMemory(int latentSize, ImageShape shape, boolean conditional, int maxBatch)
      throws IOException {
    this.latentSize = latentSize;
    this.shape = shape;
    this.conditional = conditional;
    this.maxBatch = maxBatch;
    long bytes = (long) maxBatch * Math.max(latentSize * Float.BYTES, imageBytes(Output.FLOATS));
    if (bytes > Integer.MAX_VALUE) {
      throw new IOException(
          "cannot allocate %d images of %s: a batch takes %d bytes; expected at most %d: lower --max-batch"
              .formatted(maxBatch, shape, bytes, Integer.MAX_VALUE));
    }
  }

  /** As the constructor, of a version. */
  static GeneratorMemory of(ModelBundle bundle, int maxBatch) throws IOException {
    return new GeneratorMemory(
        bundle.latentSize(), bundle.shape(), bundle.classes().isPresent(), maxBatch);
  }

  int latentSize() {
    return latentSize;
  }

  ImageShape shape() {
    return shape;
  }

  boolean conditional() {
    return conditional;
  }

  int imageBytes(Output output) {
    return output == Output.PIXELS ? shape.values() : shape.values() * Float.BYTES;
  }

  /** The buffer for n latents, from its position to its limit. */
  FloatBuffer latents(int n) {
    latents = withCapacity(latents, n, latentSize * Float.BYTES);
    return latents.asFloatBuffer();
  }

  /** The buffer for n labels, from its position to its limit. */
  LongBuffer labels(int n) {
    labels = withCapacity(labels, n, Long.BYTES);
    return labels.asLongBuffer();
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
    labels = EMPTY;
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
