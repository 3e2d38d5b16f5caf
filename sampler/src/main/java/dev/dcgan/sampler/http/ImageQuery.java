package dev.dcgan.sampler.http;

import dev.dcgan.sampler.core.ImageRequest;
import dev.dcgan.sampler.core.ModelRef;
import dev.dcgan.sampler.models.ServedVersion;

/** Images that a URL names. Immutable. */
interface ImageQuery {

  ModelRef model();

  /**
   * The request for the images of a version.
   *
   * @throws dev.dcgan.sampler.core.RequestException INVALID
   */
  ImageRequest request(ServedVersion version);

  /** The canonical URL of the same images, path and query: it names all that they depend on. */
  String canonical(ServedVersion version, ImageRequest request);
}
