package dev.dcgan.trainer.net;

import dev.dcgan.model.ImageShape;
import java.util.List;

/**
 * The layers of a generator and its discriminator.
 *
 * @param name the family, as manifests and checkpoints name it
 * @param latentSize the length of z
 * @param width the channels that the generator's layers are multiples of
 * @param shape of the images
 * @param generator transposed convolutions from (n, latentSize, 1, 1) to (n, channels, height,
 *     width)
 * @param discriminator convolutions from there to logits (n, 1, 1, 1)
 * @param gammaMean batch normalisation's scale starts at N(gammaMean, 0.02)
 */
public record Architecture(
    String name,
    int latentSize,
    int width,
    ImageShape shape,
    List<Layer> generator,
    List<Layer> discriminator,
    float gammaMean) {

  /** The name of {@link #mnist28}. */
  public static final String MNIST28 = "mnist28";

  public Architecture {
    generator = List.copyOf(generator);
    discriminator = List.copyOf(discriminator);
  }

  /**
   * One (transposed) convolution with square kernel, and whether batch normalisation follows it.
   */
  public record Layer(int in, int out, int kernel, int stride, int padding, boolean batchNorm) {}

  /**
   * The 28x28 grey networks, 2.7 million generator weights at latent 64 and width 128.
   *
   * <p>The width is the generator's alone: the discriminator is a hundredth of the work, and a
   * narrower one no longer tells fakes from pictures.
   *
   * @param latentSize 1 to 1024; 64 is the original
   * @param width 4 to 512; 128 is the original
   */
  public static Architecture mnist28(int latentSize, int width) {
    if (latentSize < 1 || latentSize > 1024) {
      throw new IllegalArgumentException("latent " + latentSize + ": expected 1 to 1024");
    }
    if (width < 4 || width > 512) {
      throw new IllegalArgumentException("width " + width + ": expected 4 to 512");
    }
    int w = width;
    return new Architecture(
        MNIST28,
        latentSize,
        width,
        new ImageShape(28, 28, 1),
        List.of(
            new Layer(latentSize, 4 * w, 3, 2, 0, true), // (n, 512, 3, 3)
            new Layer(4 * w, 2 * w, 4, 1, 0, true), //      (n, 256, 6, 6)
            new Layer(2 * w, w, 3, 2, 0, true), //          (n, 128, 13, 13)
            new Layer(w, 1, 4, 2, 0, false)), //            (n, 1, 28, 28)
        List.of(
            new Layer(1, 16, 4, 2, 0, true), //             (n, 16, 13, 13)
            new Layer(16, 32, 4, 2, 0, true), //            (n, 32, 5, 5)
            new Layer(32, 1, 4, 2, 0, false)), //           (n, 1, 1, 1)
        0);
  }

  /**
   * The family called {@code name}, as a checkpoint records it.
   *
   * @throws IllegalArgumentException an unknown name, or sizes outside the family's ranges
   */
  public static Architecture of(String name, int latentSize, int width) {
    if (!name.equals(MNIST28)) {
      throw new IllegalArgumentException("architecture '" + name + "': expected " + MNIST28);
    }
    return mnist28(latentSize, width);
  }
}
