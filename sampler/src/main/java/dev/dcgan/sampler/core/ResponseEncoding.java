package dev.dcgan.sampler.core;

import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.sampler.scheduling.Images;

/** How the images of a request become a response of one protocol. Immutable. */
public interface ResponseEncoding<T> {

  /**
   * Requires that all images of a request fit into one response, and into the queue.
   *
   * @return the most bytes that the response takes
   * @throws RequestException INVALID: they do not
   */
  long requireFits(ImageRequest request, ServedVersion version);

  /** Whether encoding is so cheap that it is done where the response is sent from. */
  boolean isCheap(ImageRequest request);

  /** The label of the metrics for the request's format. */
  String label(ImageRequest request);

  /** Encodes the images [first, first + images.count()) of a request's {@code source}. */
  T encode(ImageRequest request, ServedVersion version, long first, Images images);
}
