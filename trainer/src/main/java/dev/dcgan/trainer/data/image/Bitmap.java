package dev.dcgan.trainer.data.image;

import dev.dcgan.model.ImageShape;

/**
 * A decoded picture of any size.
 *
 * @param width pixels, 1 or more
 * @param height pixels, 1 or more
 * @param channels 1 (grey) or 3 (RGB)
 * @param pixels uint8, (height, width, channels)
 */
@SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
public record Bitmap(int width, int height, int channels, byte[] pixels) {

  public Bitmap {
    if (pixels.length != width * height * channels) {
      throw new IllegalArgumentException(
          "%d bytes for %d x %d x %d".formatted(pixels.length, height, width, channels));
    }
  }

  /** {@code "grey"} or {@code "colour"}, for people. */
  public static String colour(int channels) {
    return channels == 1 ? "grey" : "colour";
  }

  /**
   * The pixels in a network's shape: the largest centred part of its proportions, resized, grey or
   * in colour as it wants. A picture of that very shape comes out as it is.
   */
  public byte[] fit(ImageShape wanted) {
    Bitmap part = crop(Part.of(width, height, wanted));
    Bitmap resized = Resampling.resize(part, wanted.width(), wanted.height());
    return resized.withChannels(wanted.channels()).pixels;
  }

  private Bitmap crop(Part part) {
    if (part.width() == width && part.height() == height) {
      return this;
    }
    byte[] cropped = new byte[part.width() * part.height() * channels];
    int row = part.width() * channels;
    for (int y = 0; y < part.height(); y++) {
      int from = ((part.y() + y) * width + part.x()) * channels;
      System.arraycopy(pixels, from, cropped, y * row, row);
    }
    return new Bitmap(part.width(), part.height(), channels, cropped);
  }

  private Bitmap withChannels(int wanted) {
    if (wanted == channels) {
      return this;
    }
    int area = width * height;
    byte[] converted = new byte[area * wanted];
    for (int i = 0; i < area; i++) {
      if (wanted == 1) {
        converted[i] =
            luma(pixels[3 * i] & 0xFF, pixels[3 * i + 1] & 0xFF, pixels[3 * i + 2] & 0xFF);
      } else {
        converted[3 * i] = pixels[i];
        converted[3 * i + 1] = pixels[i];
        converted[3 * i + 2] = pixels[i];
      }
    }
    return new Bitmap(width, height, wanted, converted);
  }

  /** Luma by ITU-R BT.601, rounded. */
  private static byte luma(int red, int green, int blue) {
    return (byte) ((299 * red + 587 * green + 114 * blue + 500) / 1000);
  }

  /** A rectangle of a picture, in pixels. */
  record Part(int x, int y, int width, int height) {

    /** The largest part with {@code wanted}'s proportions, from the centre. */
    static Part of(int width, int height, ImageShape wanted) {
      // Rounded; at least one pixel, at most all of them.
      long fullWidth = Math.round((double) height * wanted.width() / wanted.height());
      long fullHeight = Math.round((double) width * wanted.height() / wanted.width());
      int w = (int) Math.max(1, Math.min(width, fullWidth));
      int h = (int) Math.max(1, Math.min(height, fullHeight));
      return new Part((width - w) / 2, (height - h) / 2, w, h);
    }
  }
}
