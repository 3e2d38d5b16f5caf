package dev.dcgan.sampler.runtime;

import ai.onnxruntime.OrtException;
import dev.dcgan.latent.Latents;
import dev.dcgan.model.InvalidModelException;
import dev.dcgan.sampler.scheduling.Output;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a model that has no golden vectors on a few latents, always the same ones, to find out
 * whether it can be served: whether an image depends on its latent alone, and its range.
 */
final class OutputProbe {

  private static final Logger log = LoggerFactory.getLogger(OutputProbe.class);

  static final int MIN_IMAGES = 2;
  static final int MAX_IMAGES = 16;

  private static final long MAX_BYTES = 64L << 20;

  private final Path onnx;
  private final OnnxSession session;
  private final Signature signature;
  private final GeneratorMemory memory;
  private final int count;

  OutputProbe(Path onnx, OnnxSession session, Signature signature, int maxImages)
      throws IOException {
    this.onnx = onnx;
    this.session = session;
    this.signature = signature;
    int batch = Math.max(1, signature.batch());
    long fitting = MAX_BYTES / (signature.shape().values() * (long) Float.BYTES);
    int images = (int) Math.max(MIN_IMAGES, Math.min(maxImages, fitting));
    this.count = (images + batch - 1) / batch * batch;
    this.memory = new GeneratorMemory(signature.latentSize(), signature.shape(), false, count);
  }

  /**
   * Runs the latents together, twice, and some of them alone.
   *
   * @return the range of the output
   * @throws InvalidModelException an image is not finite, not in a known range, or depends on
   *     anything but its latent
   */
  OutputRange run() throws OrtException, InvalidModelException {
    float[] together = images(0, count);
    OutputRange range = range(together);
    if (!Arrays.equals(together, images(0, count))) {
      throw refused(
          "two runs with the same latents give different images; expected the same: remove random"
              + " operators (noise, dropout), or export it after model.eval()");
    }
    int size = signature.shape().values();
    float largest = 0;
    for (int i : new int[] {0, count - 1}) {
      float[] alone = images(i, 1);
      for (int k = 0; k < size; k++) {
        float difference = Math.abs(alone[k] - together[i * size + k]);
        largest = Float.isNaN(difference) ? Float.MAX_VALUE : Math.max(largest, difference);
      }
    }
    if (largest > range.greyLevel()) {
      throw refused(
          "an image depends on the other images of its batch; expected on its latent alone: export"
              + " it after model.eval(), as batch normalization does so in training mode");
    }
    float variation = 0;
    for (int k = 0; k < size; k++) {
      variation = Math.max(variation, Math.abs(together[k] - together[(count - 1) * size + k]));
    }
    if (variation < range.greyLevel()) {
      log.warn("{}: different latents give the same image", onnx);
    }
    return range;
  }

  private OutputRange range(float[] values) throws InvalidModelException {
    float min = Float.POSITIVE_INFINITY;
    float max = Float.NEGATIVE_INFINITY;
    for (float value : values) {
      if (!Float.isFinite(value)) {
        throw refused("its images have NaN or infinite values; expected finite ones");
      }
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    OutputRange range = OutputRange.of(min, max).orElse(null);
    if (range == null) {
      throw refused(
          "its images have values from %s to %s; expected [-1, 1], [0, 1] or [0, 255]"
              .formatted(min, max));
    }
    if (range != OutputRange.BYTE && (min < -1.01f || max > 1.01f)) {
      log.warn("{}: values from {} to {} are clipped to {}", onnx, min, max, range);
    }
    return range;
  }

  private float[] images(int first, int n) throws OrtException {
    int size = signature.latentSize();
    FloatBuffer latents = memory.latents(n);
    for (int i = 0; i < n; i++) {
      latents.put(Latents.of(0, first + i, size));
    }
    session.run(n, memory, Set.of(Output.FLOATS));
    float[] images = new float[n * signature.shape().values()];
    memory.images(Output.FLOATS, n).asFloatBuffer().get(images);
    return images;
  }

  private InvalidModelException refused(String reason) {
    return new InvalidModelException("cannot use %s: %s".formatted(onnx, reason));
  }
}
