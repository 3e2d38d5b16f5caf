package dev.dcgan.sampler.image;

import dev.dcgan.model.ImageShape;
import java.util.Arrays;

/** Puts images into the forms in which callers get them. Thread-safe. */
public final class ImageEncoder {

  private static final int SHEET_COLUMNS = 5;
  private static final int GAP = 2;
  private static final byte WHITE = (byte) 0xFF;

  // A Deflater is costly to make and holds native memory: one a thread, for the thread's life.
  private static final ThreadLocal<PngEncoder> PNG = ThreadLocal.withInitial(PngEncoder::new);

  private ImageEncoder() {}

  /** One image as PNG; {@code pixels} has it, uint8 HWC, from {@code offset} on. */
  public static byte[] png(ImageShape shape, byte[] pixels, int offset) {
    return PNG.get().encode(pixels, offset, shape.height(), shape.width(), shape.channels());
  }

  /** What {@link #png} gives at most, in bytes. */
  public static long maxPngBytes(ImageShape shape) {
    return PngEncoder.maxBytes(shape.height(), shape.width(), shape.channels());
  }

  /**
   * A contact sheet as PNG: {@code count} images row by row, five wide, on white.
   *
   * @param pixels uint8 (count, h, w, c)
   */
  public static byte[] sheet(ImageShape shape, byte[] pixels, int count) {
    int height = Math.toIntExact(sheetSide(rows(count), shape.height()));
    int width = Math.toIntExact(sheetSide(columns(count), shape.width()));
    int stride = width * shape.channels();
    byte[] sheet = new byte[Math.multiplyExact(height, stride)];
    Arrays.fill(sheet, WHITE);
    int row = shape.width() * shape.channels();
    for (int i = 0; i < count; i++) {
      int top = GAP + i / SHEET_COLUMNS * (shape.height() + GAP);
      int left = (GAP + i % SHEET_COLUMNS * (shape.width() + GAP)) * shape.channels();
      for (int y = 0; y < shape.height(); y++) {
        System.arraycopy(
            pixels, i * shape.values() + y * row, sheet, (top + y) * stride + left, row);
      }
    }
    return PNG.get().encode(sheet, 0, height, width, shape.channels());
  }

  /** What {@link #sheet} gives at most, in bytes. */
  public static long maxSheetBytes(ImageShape shape, int count) {
    return PngEncoder.maxBytes(
        sheetSide(rows(count), shape.height()),
        sheetSide(columns(count), shape.width()),
        shape.channels());
  }

  /**
   * From the network's order to the wire's.
   *
   * @param floats float32 (count, c, h, w), as bytes
   * @return float32 (count, h, w, c), as bytes; the very same array where that is no difference
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

  private static long rows(int count) {
    return (count + SHEET_COLUMNS - 1L) / SHEET_COLUMNS;
  }

  private static long columns(int count) {
    return Math.min(count, SHEET_COLUMNS);
  }

  private static long sheetSide(long images, int side) {
    return GAP + images * (side + GAP);
  }
}
