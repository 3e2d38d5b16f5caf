package dev.dcgan.trainer.gan;

import dev.dcgan.model.ImageShape;
import java.util.ArrayList;
import java.util.List;

/**
 * The layers of a generator and its discriminator.
 *
 * @param name the family and size, as in manifests and checkpoints
 * @param latentSize the dimension of z
 * @param width the base number of generator channels (ngf)
 * @param shape the images' shape
 * @param generator transposed convolutions from (n, latentSize, 1, 1), with classes (n, latentSize
 *     + {@link #EMBEDDING}, 1, 1), to (n, channels, height, width); ReLU follows each but the last,
 *     tanh the last
 * @param discriminator convolutions from (n, channels, height, width) to logits (n, 1, 1, 1);
 *     LeakyReLU follows each but the last
 * @param gammaMean batch normalization's scale is initialized from N(gammaMean, 0.02)
 * @param classes the number of classes of a conditional generator; 0: it is not conditional
 */
public record Architecture(
    String name,
    int latentSize,
    int width,
    ImageShape shape,
    List<Layer> generator,
    List<Layer> discriminator,
    float gammaMean,
    int classes) {

  /** The name of {@link #mnist28}. */
  public static final String MNIST28 = "mnist28";

  /** The name of {@link #mnist28Fast}. */
  public static final String MNIST28_FAST = "mnist28-fast";

  /** The image size of both. */
  public static final int MNIST_SIZE = 28;

  /** The prefix of the names of {@link #paper}; the image size follows. */
  public static final String PAPER = "paper";

  /** The image sizes of {@link #paper}. */
  public static final List<Integer> PAPER_SIZES = List.of(32, 64, 128);

  /** The length of the vector that a conditional generator learns for each class. */
  public static final int EMBEDDING = 32;

  public Architecture {
    generator = List.copyOf(generator);
    discriminator = List.copyOf(discriminator);
  }

  /** One (transposed) convolution with a square kernel, optionally with batch normalization. */
  public record Layer(int in, int out, int kernel, int stride, int padding, boolean batchNorm) {

    /** The number of the layer's arrays: weight, bias, and batch normalization's four. */
    int arrays() {
      return batchNorm ? 6 : 2;
    }

    /**
     * The output size of this transposed convolution for an input of {@code side} x {@code side}.
     */
    public int outputSide(int side) {
      return (side - 1) * stride - 2 * padding + kernel;
    }

    /** The output size of this convolution for an input of {@code side} x {@code side}. */
    public int convolvedSide(int side) {
      return (side + 2 * padding - kernel) / stride + 1;
    }
  }

  /**
   * The networks for 28x28 grey images, with 2.7 million generator weights at latent size 64 and
   * width 128.
   *
   * <p>The width applies to the generator only: the discriminator takes a hundredth of the
   * arithmetic, and a narrower one fails to separate fakes from real images.
   *
   * @param latentSize 1 to 1024; the article has 64
   * @param width 4 to 512; the article has 128
   */
  public static Architecture mnist28(int latentSize, int width) {
    return mnist28(MNIST28, latentSize, width, 16, 0);
  }

  /**
   * The generator of {@link #mnist28} with a discriminator four times as wide. Both initialize
   * batch normalization's scale as the paper does, from N(1, 0.02): with the article's N(0, 0.02)
   * gradients nearly vanish in the first steps.
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
        new ImageShape(MNIST_SIZE, MNIST_SIZE, 1),
        List.of(
            new Layer(latentSize, 4 * w, 3, 2, 0, true), // (n, 512, 3, 3)
            new Layer(4 * w, 2 * w, 4, 1, 0, true), //      (n, 256, 6, 6)
            new Layer(2 * w, w, 3, 2, 0, true), //          (n, 128, 13, 13)
            new Layer(w, 1, 4, 2, 0, false)), //            (n, 1, 28, 28)
        List.of(
            new Layer(1, d, 4, 2, 0, true), //              (n, 16, 13, 13)
            new Layer(d, 2 * d, 4, 2, 0, true), //          (n, 32, 5, 5)
            new Layer(2 * d, 1, 4, 2, 0, false)), //        (n, 1, 1, 1)
        gammaMean,
        0);
  }

  /**
   * The networks of Radford et al. 2015 (figure 1), also for other sizes: the generator projects z
   * to 4x4; each further layer doubles the size and halves the channels. The discriminator mirrors
   * it, without batch normalization on its first layer.
   *
   * @param side 32, 64 or 128; the paper has 64
   * @param channels 1 or 3; the paper has 3
   * @param latentSize 1 to 1024; the paper has 100
   * @param width 4 to 512; the paper has 128: the channels of the layers next to the image
   */
  public static Architecture paper(int side, int channels, int latentSize, int width) {
    requireSizes(latentSize, width);
    if (!PAPER_SIZES.contains(side)) {
      throw new IllegalArgumentException("size " + side + "; expected one of " + PAPER_SIZES);
    }
    List<Layer> generator = new ArrayList<>();
    List<Layer> discriminator = new ArrayList<>();
    int maxChannels = width * side / 8;
    generator.add(new Layer(latentSize, maxChannels, 4, 1, 0, true)); // (n, 1024, 4, 4)
    for (int w = maxChannels; w > width; w /= 2) {
      generator.add(new Layer(w, w / 2, 4, 2, 1, true)); // (n, 512, 8, 8), (n, 256, 16, 16) ...
    }
    generator.add(new Layer(width, channels, 4, 2, 1, false)); // (n, 3, 64, 64)
    discriminator.add(new Layer(channels, width, 4, 2, 1, false)); // (n, 128, 32, 32)
    for (int w = width; w < maxChannels; w *= 2) {
      discriminator.add(new Layer(w, 2 * w, 4, 2, 1, true)); // (n, 256, 16, 16) ...
    }
    discriminator.add(new Layer(maxChannels, 1, 4, 1, 0, false)); // (n, 1, 1, 1)
    return new Architecture(
        PAPER + side,
        latentSize,
        width,
        new ImageShape(side, side, channels),
        generator,
        discriminator,
        1,
        0);
  }

  /**
   * The networks of a given name, as checkpoints record it.
   *
   * @throws IllegalArgumentException if the name is unknown or a size out of its range
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
        "architecture '%s'; expected %s, %s, or %s with one of %s"
            .formatted(name, MNIST28, MNIST28_FAST, PAPER, PAPER_SIZES));
  }

  /**
   * The conditional networks of this unconditional architecture: an embedding of the class is
   * appended to z, and the discriminator has a projection on the class (Miyato and Koyama 2018).
   *
   * @param classes 2 or more; 0: the networks stay unconditional
   */
  public Architecture withClasses(int classes) {
    if (classes == 0 && this.classes == 0) {
      return this;
    }
    if (classes < 2 || this.classes > 0) {
      throw new IllegalArgumentException(
          "%d classes for %s; expected 2 or more for an unconditional one"
              .formatted(classes, title()));
    }
    List<Layer> conditional = new ArrayList<>(generator);
    Layer first = conditional.get(0);
    conditional.set(
        0,
        new Layer(
            first.in() + EMBEDDING,
            first.out(),
            first.kernel(),
            first.stride(),
            first.padding(),
            first.batchNorm()));
    return new Architecture(
        name, latentSize, width, shape, conditional, discriminator, gammaMean, classes);
  }

  /** The channels of the discriminator's features, which its projection on the class takes. */
  public int features() {
    return discriminator.get(discriminator.size() - 1).in();
  }

  /** For messages: {@code mnist28 (28x28x1, latent 64, width 128)}, with classes their number. */
  public String title() {
    String conditional = classes == 0 ? "" : ", %d classes".formatted(classes);
    return "%s (%s, latent %d, width %d%s)".formatted(name, shape, latentSize, width, conditional);
  }

  private static void requireSizes(int latentSize, int width) {
    if (latentSize < 1 || latentSize > 1024) {
      throw new IllegalArgumentException("latent size " + latentSize + "; expected 1 to 1024");
    }
    if (width < 4 || width > 512) {
      throw new IllegalArgumentException("width " + width + "; expected 4 to 512");
    }
  }
}
