package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ImageShape;
import dev.dcgan.v1.ModelManifest;
import org.jspecify.annotations.Nullable;

/**
 * The names and shapes of a generator's tensors.
 *
 * @param input float (n, latentSize)
 * @param fourDimensional whether the input is (n, latentSize, 1, 1) instead
 * @param image float (n, c, h, w) in [-1, 1]
 * @param pixels uint8 (n, h, w, c); null: the model has no such output, and they are computed
 */
record Signature(
    String input,
    int latentSize,
    boolean fourDimensional,
    ImageShape shape,
    String image,
    @Nullable String pixels) {

  /** A manifest with the fields that the signature tells. */
  ModelManifest toManifest() {
    return ModelManifest.newBuilder().setShape(shape.toProto()).setLatentSize(latentSize).build();
  }
}
