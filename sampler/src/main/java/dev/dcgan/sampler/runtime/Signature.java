package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ImageShape;
import dev.dcgan.v1.ModelManifest;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of a generator, by name.
 *
 * @param input float (n, latentSize)
 * @param fourDimensional whether the input is (n, latentSize, 1, 1) instead
 * @param image float (n, c, h, w) in [-1, 1]
 * @param pixels uint8 (n, h, w, c); null: there is none, they are to be computed
 */
record Signature(
    String input,
    int latentSize,
    boolean fourDimensional,
    ImageShape shape,
    String image,
    @Nullable String pixels) {

  /** As much of a manifest as this tells. */
  ModelManifest toManifest() {
    return ModelManifest.newBuilder().setShape(shape.toProto()).setLatentSize(latentSize).build();
  }
}
