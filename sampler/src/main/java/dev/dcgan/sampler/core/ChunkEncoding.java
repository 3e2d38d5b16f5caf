package dev.dcgan.sampler.core;

import dev.dcgan.sampler.models.ServedVersion;

/** How the images of a stream become responses. Immutable. */
public interface ChunkEncoding<T> extends ResponseEncoding<T> {

  /**
   * The number of images in a chunk.
   *
   * @throws RequestException INVALID: not one image fits into a chunk
   */
  int chunkSize(ImageRequest request, ServedVersion version);

  /** The most bytes that so many images take. */
  long maxBytes(ImageRequest request, ServedVersion version, int count);
}
