package dev.dcgan.sampler.image;

import dev.dcgan.model.ImageShape;
import java.util.Arrays;

/** Encodes images for callers. Thread-safe. */
public final class ImageEncoder {

  /** Images per row of a contact sheet. */
  public static final int DEFAULT_COLUMNS = 5;

  private static final int GAP = 2;
  private static final byte WHITE = (byte) 0xFF;

  // A Deflater is expensive to create and holds native memory: each thread keeps one encoder.
  private static final ThreadLocal<PngEncoder> PNG = ThreadLocal.withInitial(PngEncoder::new);

  private ImageEncoder() {}

  /**
   * Encodes one image as PNG.
   *
   * @param pixels uint8 HWC, from {@code offset} on
   */
  public static byte[] png(ImageShape shape, byte[] pixels, int offset) {
    return png(shape, pixels, offset, 1);
  }

  /**
   * Encodes one image as PNG, enlarged.
   *
   * @param scale each pixel becomes {@code scale} x {@code scale} pixels
   */
  public static byte[] png(ImageShape shape, byte[] pixels, int offset, int scale) {
    return PNG.get().encode(pixels, offset, shape.height(), shape.width(), shape.channels(), scale);
  }

  /** The most bytes that {@link #png} returns. */
  public static long maxPngBytes(ImageShape shape, int scale) {
    return PngEncoder.maxBytes(shape.height(), shape.width(), shape.channels(), scale);
  }

  /**
   * Encodes a contact sheet as PNG: {@code count} images row by row on white, {@code columns} per
   * row or all in one row if there are fewer.
   *
   * @param pixels uint8 (count, h, w, c)
   * @param columns 1 or more
   * @param scale each pixel becomes {@code scale} x {@code scale} pixels, those of the gaps too
   */
  public static byte[] sheet(ImageShape shape, byte[] pixels, int count, int columns, int scale) {
    int height = Math.toIntExact(sheetSide(rows(count, columns), shape.height()));
    int width = Math.toIntExact(sheetSide(Math.min(count, columns), shape.width()));
    int stride = width * shape.channels();
    byte[] sheet = new byte[Math.multiplyExact(height, stride)];
    Arrays.fill(sheet, WHITE);
    int row = shape.width() * shape.channels();
    for (int i = 0; i < count; i++) {
      int top = GAP + i / columns * (shape.height() + GAP);
      int left = (GAP + i % columns * (shape.width() + GAP)) * shape.channels();
      for (int y = 0; y < shape.height(); y++) {
        System.arraycopy(
            pixels, i * shape.values() + y * row, sheet, (top + y) * stride + left, row);
      }
    }
    return PNG.get().encode(sheet, 0, height, width, shape.channels(), scale);
  }

  /** The most bytes that {@link #sheet} returns. */
  public static long maxSheetBytes(ImageShape shape, int count, int columns, int scale) {
    return PngEncoder.maxBytes(
        sheetSide(rows(count, columns), shape.height()),
        sheetSide(Math.min(count, columns), shape.width()),
        shape.channels(),
        scale);
  }

  /**
   * Converts from CHW, the network's order, to HWC, the wire's.
   *
   * @param floats float32 (count, c, h, w), as bytes
   * @return float32 (count, h, w, c), as bytes; the same array if there is one channel
   */
  public static byte[] channelsLast(ImageShape shape, byte[] floats) {
    int channels = shape.channels();
    if (channels == 1) {
      return floats;
    }
    int plane = shape.height() * shape.width();
    byte[] out = new byte[floats.length];
    for (int to = 0; to < floats.length; to += Float.BYTES) {
      int value = to / Float.BYTES;
      int image = value / shape.values();
      int pixel = value % shape.values() / channels;
      int channel = value % channels;
      int from = (image * shape.values() + channel * plane + pixel) * Float.BYTES;
      System.arraycopy(floats, from, out, to, Float.BYTES);
    }
    return out;
  }

  private static long rows(int count, int columns) {
    if (columns < 1) {
      throw new IllegalArgumentException(
          "cannot make a contact sheet of %d columns: expected 1 or more".formatted(columns));
    }
    return (count - 1L + columns) / columns;
  }

  private static long sheetSide(long images, int side) {
    return GAP + images * (side + GAP);
  }
}
