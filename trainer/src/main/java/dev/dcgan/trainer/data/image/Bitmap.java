package dev.dcgan.trainer.data.image;

import dev.dcgan.model.ImageShape;

/**
 * A decoded image of any size.
 *
 * @param width pixels, 1 or more
 * @param height pixels, 1 or more
 * @param channels 1 (grey) or 3 (RGB)
 * @param pixels uint8, (height, width, channels)
 * @param rotated whether the file has it turned or mirrored and its orientation was applied
 */
@SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
public record Bitmap(int width, int height, int channels, byte[] pixels, boolean rotated) {

  public Bitmap {
    if (pixels.length != width * height * channels) {
      throw new IllegalArgumentException(
          "%d bytes for an image of %d x %d x %d"
              .formatted(pixels.length, height, width, channels));
    }
  }

  /** An image that is stored upright. */
  public Bitmap(int width, int height, int channels, byte[] pixels) {
    this(width, height, channels, pixels, false);
  }

  /** {@code "grey"} or {@code "RGB"}, for messages. */
  public static String channelsName(int channels) {
    return channels == 1 ? "grey" : "RGB";
  }

  /**
   * Center-crops to the target's aspect ratio, resizes, and converts the channels. An image that
   * has the target's shape is not changed.
   *
   * @return uint8 (height, width, channels) of the target's shape
   */
  public byte[] fit(ImageShape target) {
    Bitmap cropped = crop(CropBox.of(width, height, target));
    Bitmap resized = Resampling.resize(cropped, target.width(), target.height());
    return resized.withChannels(target.channels()).pixels;
  }

  private Bitmap crop(CropBox box) {
    if (box.width() == width && box.height() == height) {
      return this;
    }
    byte[] cropped = new byte[box.width() * box.height() * channels];
    int row = box.width() * channels;
    for (int y = 0; y < box.height(); y++) {
      int from = ((box.y() + y) * width + box.x()) * channels;
      System.arraycopy(pixels, from, cropped, y * row, row);
    }
    return new Bitmap(box.width(), box.height(), channels, cropped);
  }

  Bitmap withChannels(int target) {
    if (target == channels) {
      return this;
    }
    int area = width * height;
    byte[] converted = new byte[area * target];
    for (int i = 0; i < area; i++) {
      if (target == 1) {
        converted[i] =
            luma(pixels[3 * i] & 0xFF, pixels[3 * i + 1] & 0xFF, pixels[3 * i + 2] & 0xFF);
      } else {
        converted[3 * i] = pixels[i];
        converted[3 * i + 1] = pixels[i];
        converted[3 * i + 2] = pixels[i];
      }
    }
    return new Bitmap(width, height, target, converted);
  }

  /**
   * Turns a stored image upright.
   *
   * @param orientation 1 to 8, as in EXIF
   */
  Bitmap upright(int orientation) {
    if (orientation == 1) {
      return this;
    }
    boolean transposed = isTransposed(orientation);
    int uprightWidth = transposed ? height : width;
    int uprightHeight = transposed ? width : height;
    byte[] turned = new byte[pixels.length];
    for (int y = 0; y < uprightHeight; y++) {
      for (int x = 0; x < uprightWidth; x++) {
        int column = transposed ? y : x;
        int row = transposed ? x : y;
        int fromX = isMirrored(orientation) ? width - 1 - column : column;
        int fromY = isFlipped(orientation) ? height - 1 - row : row;
        System.arraycopy(
            pixels,
            (fromY * width + fromX) * channels,
            turned,
            (y * uprightWidth + x) * channels,
            channels);
      }
    }
    return new Bitmap(uprightWidth, uprightHeight, channels, turned, true);
  }

  /** Whether the upright image's rows are the stored columns. */
  static boolean isTransposed(int orientation) {
    return orientation >= 5;
  }

  /** Whether the upright image begins at the right of the stored rows. */
  static boolean isMirrored(int orientation) {
    return orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  }

  /** Whether the upright image begins at the bottom of the stored columns. */
  static boolean isFlipped(int orientation) {
    return orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  }

  /** Luma by ITU-R BT.601, rounded. */
  private static byte luma(int red, int green, int blue) {
    return (byte) ((299 * red + 587 * green + 114 * blue + 500) / 1000);
  }

  /** A rectangle of an image, in pixels. */
  record CropBox(int x, int y, int width, int height) {

    /** The largest centered box with the target's aspect ratio. */
    static CropBox of(int width, int height, ImageShape target) {
      // Rounded; at least one pixel, at most all of them.
      long fullWidth = Math.round((double) height * target.width() / target.height());
      long fullHeight = Math.round((double) width * target.height() / target.width());
      int w = (int) Math.max(1, Math.min(width, fullWidth));
      int h = (int) Math.max(1, Math.min(height, fullHeight));
      return new CropBox((width - w) / 2, (height - h) / 2, w, h);
    }
  }
}
