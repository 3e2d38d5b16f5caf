package dev.dcgan.trainer.gan;

import dev.dcgan.model.ImageShape;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a trained generator, independent of the engine.
 *
 * <p>The generator maps z (n, latentSize, 1, 1) through the layers in order. Each layer is a
 * transposed convolution, followed by batch normalization (if {@code batchNorm} is present) and
 * ReLU; tanh follows the last one. A conditional generator appends the embedding of the class to z.
 *
 * @param architecture the architecture's name: {@code mnist28}
 * @param latentSize the first layer's input channels, without those of the embedding
 * @param shape the images' shape
 * @param embedding of the classes; null if the generator is not conditional
 * @param layers the layers in order; the list may copy a layer from the generator on each access
 */
public record GeneratorWeights(
    String architecture,
    int latentSize,
    ImageShape shape,
    @Nullable ClassEmbedding embedding,
    List<Layer> layers) {

  // No List.copyOf: it would hold all of a large generator in the heap.

  /**
   * One transposed convolution.
   *
   * @param weight (in, out, kernel, kernel), row-major, as in PyTorch and ONNX
   * @param bias (out)
   */
  @SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
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
   * Batch normalization at inference: (x - mean) / sqrt(variance + epsilon) * gamma + beta, with
   * one value per channel in each array.
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record BatchNorm(
      float[] gamma, float[] beta, float[] mean, float[] variance, float epsilon) {}
}
