package dev.dcgan.model;

/**
 * The pixel quantization {@link ModelBundle#PIXEL_QUANTIZATION}, as a published model computes it:
 * in float32, rounding halves to even.
 */
public final class Pixels {

  private Pixels() {}

  /**
   * Quantizes n images.
   *
   * @param images (n, channels, height, width), in [-1, 1]
   * @return uint8 (n, height, width, channels)
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
