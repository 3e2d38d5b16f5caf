package dev.dcgan.model;

/**
 * From a generator's values to pixels, by the law {@link ModelBundle#NORMALISATION}, with which a
 * published model computes its own: in float, halves to even.
 */
public final class Pixels {

  private Pixels() {}

  /**
   * The pixels of any number of images: from (n, channels, height, width) in [-1, 1] to uint8 (n,
   * height, width, channels).
   */
  public static byte[] of(float[] images, ImageShape shape) {
    byte[] pixels = new byte[images.length];
    int channels = shape.channels();
    int area = shape.height() * shape.width();
    for (int i = 0; i < images.length; i++) {
      int image = i / shape.values();
      int channel = i / area % channels;
      pixels[(image * area + i % area) * channels + channel] = of(images[i]);
    }
    return pixels;
  }

  private static byte of(float x) {
    return (byte) Math.max(0, Math.min(255, Math.rint((x + 1) * 127.5f)));
  }
}
