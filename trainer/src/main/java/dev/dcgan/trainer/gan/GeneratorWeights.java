package dev.dcgan.trainer.gan;

import dev.dcgan.model.ImageShape;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A trained generator as plain numbers: what an exporter needs of it, without an engine.
 *
 * <p>The generator is z(n, latentSize, 1, 1) through the layers in order. Each is a transposed
 * convolution, then, where {@code batchNorm} is present, batch normalisation and ReLU; the last has
 * none and ends in tanh.
 *
 * @param architecture the family's name: {@code mnist28}
 * @param latentSize the first layer's input channels
 * @param shape of the images that come out
 * @param layers in order; the list may copy a layer from the generator each time it is asked for
 */
public record GeneratorWeights(
    String architecture, int latentSize, ImageShape shape, List<Layer> layers) {

  // The layers are not copied: List.copyOf would hold all of a large generator in the heap.

  /**
   * One transposed convolution.
   *
   * @param weight (in, out, kernel, kernel), row-major, as both PyTorch and ONNX lay it out
   * @param bias (out)
   */
  @SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
  public record Layer(
      int in,
      int out,
      int kernel,
      int stride,
      int padding,
      float[] weight,
      float[] bias,
      @Nullable BatchNorm batchNorm) {}

  /**
   * Batch normalisation at inference: (x - mean) / sqrt(variance + epsilon) * gamma + beta, each
   * array one value a channel.
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record BatchNorm(
      float[] gamma, float[] beta, float[] mean, float[] variance, float epsilon) {}
}
