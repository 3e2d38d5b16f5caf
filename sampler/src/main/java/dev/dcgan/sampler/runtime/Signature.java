package dev.dcgan.sampler.runtime;

import dev.dcgan.model.ImageShape;
import dev.dcgan.v1.ModelManifest;
import org.jspecify.annotations.Nullable;

/**
 * The names and shapes of a generator's tensors.
 *
 * @param input float (n, latentSize)
 * @param fourDimensional whether the input is (n, latentSize, 1, 1) instead
 * @param label int64 (n); null: the generator is not conditional
 * @param image float (n, c, h, w)
 * @param pixels uint8 (n, h, w, c); null: the model has no such output, and they are computed
 * @param batch the only n that the model runs; 0: any
 * @param range of the values of {@code image}; null: not to be mapped
 */
record Signature(
    String input,
    int latentSize,
    boolean fourDimensional,
    @Nullable String label,
    ImageShape shape,
    String image,
    @Nullable String pixels,
    int batch,
    @Nullable OutputRange range) {

  /** The same tensors, with a range; the model's own pixels are of use only in [-1, 1]. */
  Signature withRange(OutputRange found) {
    return new Signature(
        input,
        latentSize,
        fourDimensional,
        label,
        shape,
        image,
        found == OutputRange.SIGNED ? pixels : null,
        batch,
        found);
  }

  /** A manifest with the fields that the signature tells. */
  ModelManifest toManifest() {
    return ModelManifest.newBuilder()
        .setShape(shape.toProto())
        .setLatentSize(latentSize)
        .setOutputRange(range == null ? "" : range.toString())
        .build();
  }
}
