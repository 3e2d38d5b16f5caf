package dev.dcgan.sampler.core;

import dev.dcgan.sampler.models.ServedVersion;
import dev.dcgan.v1.GetLatentsResponse;

/** Encodes latents as a {@link GetLatentsResponse}. */
final class LatentsEncoder {

  // Everything but the latents.
  private static final long ENVELOPE_BYTES = 512;

  private LatentsEncoder() {}

  /**
   * Requires that all latents of a request fit into one response.
   *
   * @return the most bytes that the response takes
   * @throws RequestException INVALID: they do not
   */
  static long requireFits(ImageRequest request, ServedVersion version) {
    int size = version.latentSize();
    int limit = ResponseBudget.MAX_RESPONSE_BYTES;
    long each = (long) size * Float.BYTES + GenerateEncoding.labelBytes(version);
    long max = (limit - ENVELOPE_BYTES) / each;
    if (request.count() > max) {
      throw RequestException.invalid(
          "count",
          "count %d exceeds %d latents of %d floats in one response of at most %d bytes; request fewer"
              .formatted(request.count(), max, size, limit));
    }
    return ENVELOPE_BYTES + request.count() * each;
  }

  static GetLatentsResponse encode(ImageRequest request, ServedVersion version) {
    int size = version.latentSize();
    GetLatentsResponse.Builder response =
        GetLatentsResponse.newBuilder().setModel(version.version()).setLatentSize(size);
    for (float value : request.source().latents(0, (int) request.count(), size)) {
      response.addLatents(value);
    }
    for (long label : request.labels().labels(0, (int) request.count())) {
      response.addLabels((int) label);
    }
    return response.build();
  }
}
