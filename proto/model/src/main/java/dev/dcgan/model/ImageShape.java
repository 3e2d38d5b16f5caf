package dev.dcgan.model;

/**
 * Height, width and channels of an image.
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
          "image of %d x %d pixels; expected 1 to %d each way".formatted(height, width, MAX_SIDE));
    }
    if (channels != 1 && channels != 3) {
      throw new IllegalArgumentException(
          "image with %d channels; expected 1 (grey) or 3 (RGB)".formatted(channels));
    }
  }

  /** Values in one image: height x width x channels; as uint8, its bytes. */
  public int values() {
    return height * width * channels;
  }

  /** The shape as it stands on the wire and in a manifest. */
  public dev.dcgan.v1.ImageShape toProto() {
    return dev.dcgan.v1.ImageShape.newBuilder()
        .setHeight(height)
        .setWidth(width)
        .setChannels(channels)
        .build();
  }

  /**
   * Reads the shape from its wire form.
   *
   * @throws IllegalArgumentException outside the ranges above
   */
  public static ImageShape fromProto(dev.dcgan.v1.ImageShape shape) {
    return new ImageShape(shape.getHeight(), shape.getWidth(), shape.getChannels());
  }

  @Override
  public String toString() {
    return height + "x" + width + "x" + channels;
  }
}
