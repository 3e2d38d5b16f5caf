package dev.dcgan.trainer.gan;

import dev.dcgan.model.ImageShape;
import java.util.ArrayList;
import java.util.List;

/**
 * The layers of a generator and its discriminator.
 *
 * @param name the family and size, as manifests and checkpoints name it
 * @param latentSize the length of z
 * @param width the channels that the generator's layers are multiples of
 * @param shape of the images
 * @param generator transposed convolutions from (n, latentSize, 1, 1) to (n, channels, height,
 *     width), each but the last followed by ReLU, the last by tanh
 * @param discriminator convolutions from there to logits (n, 1, 1, 1), each but the last followed
 *     by LeakyReLU
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

  /** The name of {@link #mnist28Fast}. */
  public static final String MNIST28_FAST = "mnist28-fast";

  /** The names of {@link #paper} begin so; the size follows. */
  public static final String PAPER = "paper";

  /** The sides that {@link #paper} can have. */
  public static final List<Integer> PAPER_SIZES = List.of(32, 64, 128);

  public Architecture {
    generator = List.copyOf(generator);
    discriminator = List.copyOf(discriminator);
  }

  /**
   * One (transposed) convolution with square kernel, and whether batch normalisation follows it.
   */
  public record Layer(int in, int out, int kernel, int stride, int padding, boolean batchNorm) {

    /** The arrays of a layer: weight, bias, and scale, shift, mean, variance where it has them. */
    int arrays() {
      return batchNorm ? 6 : 2;
    }

    /** The side that a transposed convolution of this size makes of {@code side}. */
    public int outputSide(int side) {
      return (side - 1) * stride - 2 * padding + kernel;
    }
  }

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
    return mnist28(MNIST28, latentSize, width, 16, 0);
  }

  /**
   * The generator of {@link #mnist28} against a discriminator four times as wide, both with the
   * paper's start of batch normalisation, N(1, 0.02): it has a gradient from the first step, where
   * the article's N(0, 0.02) nearly has none.
   *
   * @param latentSize 1 to 1024
   * @param width 4 to 512
   */
  public static Architecture mnist28Fast(int latentSize, int width) {
    return mnist28(MNIST28_FAST, latentSize, width, 64, 1);
  }

  private static Architecture mnist28(
      String name, int latentSize, int width, int discriminatorWidth, float gammaMean) {
    requireSizes(latentSize, width);
    int w = width;
    int d = discriminatorWidth;
    return new Architecture(
        name,
        latentSize,
        width,
        new ImageShape(28, 28, 1),
        List.of(
            new Layer(latentSize, 4 * w, 3, 2, 0, true), // (n, 512, 3, 3)
            new Layer(4 * w, 2 * w, 4, 1, 0, true), //      (n, 256, 6, 6)
            new Layer(2 * w, w, 3, 2, 0, true), //          (n, 128, 13, 13)
            new Layer(w, 1, 4, 2, 0, false)), //            (n, 1, 28, 28)
        List.of(
            new Layer(1, d, 4, 2, 0, true), //              (n, 16, 13, 13)
            new Layer(d, 2 * d, 4, 2, 0, true), //          (n, 32, 5, 5)
            new Layer(2 * d, 1, 4, 2, 0, false)), //        (n, 1, 1, 1)
        gammaMean);
  }

  /**
   * The paper's networks (Radford et al. 2015, figure 1) and their like at other sizes: the
   * generator projects z to 4x4 and doubles the side with each layer while it halves the channels;
   * the discriminator mirrors it, without batch normalisation on its first layer.
   *
   * @param side 32, 64 or 128; 64 is the original
   * @param channels 1 or 3; 3 is the original
   * @param latentSize 1 to 1024; 100 is the original
   * @param width 4 to 512; 128 is the original: channels next to the image, doubled per halving
   */
  public static Architecture paper(int side, int channels, int latentSize, int width) {
    requireSizes(latentSize, width);
    if (!PAPER_SIZES.contains(side)) {
      throw new IllegalArgumentException("size " + side + ": expected one of " + PAPER_SIZES);
    }
    List<Layer> generator = new ArrayList<>();
    List<Layer> discriminator = new ArrayList<>();
    int widest = width * side / 8;
    generator.add(new Layer(latentSize, widest, 4, 1, 0, true)); // (n, 1024, 4, 4)
    for (int w = widest; w > width; w /= 2) {
      generator.add(new Layer(w, w / 2, 4, 2, 1, true)); // (n, 512, 8, 8), (n, 256, 16, 16) ...
    }
    generator.add(new Layer(width, channels, 4, 2, 1, false)); // (n, 3, 64, 64)
    discriminator.add(new Layer(channels, width, 4, 2, 1, false)); // (n, 128, 32, 32)
    for (int w = width; w < widest; w *= 2) {
      discriminator.add(new Layer(w, 2 * w, 4, 2, 1, true)); // (n, 256, 16, 16) ...
    }
    discriminator.add(new Layer(widest, 1, 4, 1, 0, false)); // (n, 1, 1, 1)
    return new Architecture(
        PAPER + side,
        latentSize,
        width,
        new ImageShape(side, side, channels),
        generator,
        discriminator,
        1);
  }

  /**
   * The networks called {@code name}, as a checkpoint records them.
   *
   * @throws IllegalArgumentException an unknown name, or sizes outside the family's ranges
   */
  public static Architecture of(String name, int channels, int latentSize, int width) {
    if (name.equals(MNIST28)) {
      return mnist28(latentSize, width);
    }
    if (name.equals(MNIST28_FAST)) {
      return mnist28Fast(latentSize, width);
    }
    for (int side : PAPER_SIZES) {
      if (name.equals(PAPER + side)) {
        return paper(side, channels, latentSize, width);
      }
    }
    throw new IllegalArgumentException(
        "architecture '%s': expected %s, %s, or %s with one of %s"
            .formatted(name, MNIST28, MNIST28_FAST, PAPER, PAPER_SIZES));
  }

  /** For messages: {@code mnist28 (28x28x1, latent 64, width 128)}. */
  public String title() {
    return "%s (%s, latent %d, width %d)".formatted(name, shape, latentSize, width);
  }

  private static void requireSizes(int latentSize, int width) {
    if (latentSize < 1 || latentSize > 1024) {
      throw new IllegalArgumentException("latent " + latentSize + ": expected 1 to 1024");
    }
    if (width < 4 || width > 512) {
      throw new IllegalArgumentException("width " + width + ": expected 4 to 512");
    }
  }
}
