package dev.dcgan.model;

/**
 * The height, width and channels of an image.
 *
 * @param height 1 to 4096 pixels
 * @param width 1 to 4096 pixels
 * @param channels 1 (grey) or 3 (RGB)
 */
public record ImageShape(int height, int width, int channels) {

  private static final int MAX_SIDE = 4096;

  public ImageShape {
    if (height < 1 || height > MAX_SIDE || width < 1 || width > MAX_SIDE) {
      throw new IllegalArgumentException(
          "image of %d x %d pixels; expected 1 to %d in height and width"
              .formatted(height, width, MAX_SIDE));
    }
    if (channels != 1 && channels != 3) {
      throw new IllegalArgumentException(
          "image with %d channels; expected 1 (grey) or 3 (RGB)".formatted(channels));
    }
  }

  /** The number of values in one image: height x width x channels. As uint8, its size in bytes. */
  public int values() {
    return height * width * channels;
  }

  /** Converts the shape to its form on the wire and in a manifest. */
  public dev.dcgan.v1.ImageShape toProto() {
    return dev.dcgan.v1.ImageShape.newBuilder()
        .setHeight(height)
        .setWidth(width)
        .setChannels(channels)
        .build();
  }

  /**
   * Converts the shape from its wire form.
   *
   * @throws IllegalArgumentException if a value is outside the ranges above
   */
  public static ImageShape fromProto(dev.dcgan.v1.ImageShape shape) {
    return new ImageShape(shape.getHeight(), shape.getWidth(), shape.getChannels());
  }

  @Override
  public String toString() {
    return height + "x" + width + "x" + channels;
  }
}
