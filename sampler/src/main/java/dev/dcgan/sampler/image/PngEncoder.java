package dev.dcgan.sampler.image;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/**
 * Encodes 8-bit grey and RGB images as PNG (ISO/IEC 15948). It is made for many small images: all
 * buffers are reused. Mostly flat images, such as drawings, are deflated without a filter by the
 * fastest match search. Other images are deflated after the Sub filter (differences from the pixel
 * to the left) by Huffman coding alone: a match search finds next to nothing there and takes half
 * of the time.
 *
 * <p>An enlarged image is deflated row by row, so it is never in memory as a whole. The first of
 * the equal rows that a row becomes is not filtered; the others are zeros after the Up filter
 * (differences from the row above), which take next to no space. Not thread-safe.
 */
final class PngEncoder {

  private static final long SIGNATURE = 0x89504E470D0A1A0AL;
  private static final byte NONE = 0;
  private static final byte SUB = 1;
  private static final byte UP = 2;
  private static final int GREY = 0;
  private static final int RGB = 2;
  private static final int HEADER_BYTES = 13;
  // The signature, and three chunks (IHDR, IDAT, IEND) of length, type and CRC.
  private static final int FRAME_BYTES = 8 + 3 * 12 + HEADER_BYTES;

  private final Deflater flatDeflater = new Deflater(Deflater.BEST_SPEED);
  private final Deflater huffmanDeflater = new Deflater(Deflater.BEST_SPEED);
  private final CRC32 crc = new CRC32();

  // Mutable state
  private byte[] filtered = new byte[0];
  private byte[] packed = new byte[0];

  PngEncoder() {
    huffmanDeflater.setStrategy(Deflater.HUFFMAN_ONLY);
  }

  /** The most bytes that a PNG of an image of this size takes, enlarged by {@code scale}. */
  static long maxBytes(long height, long width, int channels, int scale) {
    return FRAME_BYTES
        + (scale == 1
            ? maxPacked(height * (1 + width * channels))
            : maxPackedScaled(height, width * channels * scale, scale));
  }

  /**
   * Encodes an image.
   *
   * @param pixels (height, width, channels) from {@code offset} on
   * @param channels 1 or 3
   * @param scale each pixel becomes {@code scale} x {@code scale} pixels
   */
  byte[] encode(byte[] pixels, int offset, int height, int width, int channels, int scale) {
    int packedSize;
    if (scale == 1) {
      boolean isFlat = isMostlyFlat(pixels, offset, height * width * channels, channels);
      int size = filter(pixels, offset, height, width * channels, isFlat ? 0 : channels);
      packedSize = deflate(isFlat ? flatDeflater : huffmanDeflater, size);
    } else {
      packedSize = deflateScaled(pixels, offset, height, width, channels, scale);
    }
    ByteBuffer png = ByteBuffer.allocate(FRAME_BYTES + packedSize);
    png.putLong(SIGNATURE);
    byte[] header =
        ByteBuffer.allocate(HEADER_BYTES)
            .putInt(width * scale)
            .putInt(height * scale)
            .put((byte) 8)
            .put((byte) (channels == 1 ? GREY : RGB))
            .array();
    chunk(png, "IHDR", header, HEADER_BYTES);
    chunk(png, "IDAT", packed, packedSize);
    chunk(png, "IEND", packed, 0);
    return png.array();
  }

  /** Whether more than half of the values equal those of the pixel before. */
  private static boolean isMostlyFlat(byte[] pixels, int offset, int size, int channels) {
    int equal = 0;
    for (int i = offset + channels; i < offset + size; i++) {
      equal += pixels[i] == pixels[i - channels] ? 1 : 0;
    }
    return 2 * (long) equal > size;
  }

  /** Subtracts from every byte the one {@code left} before it; 0: no filter. */
  private int filter(byte[] pixels, int offset, int height, int stride, int left) {
    int size = height * (1 + stride);
    if (filtered.length < size) {
      filtered = new byte[size];
    }
    int copied = left == 0 ? stride : left;
    int to = 0;
    for (int row = 0; row < height; row++) {
      int from = offset + row * stride;
      filtered[to++] = left == 0 ? NONE : SUB;
      System.arraycopy(pixels, from, filtered, to, copied);
      for (int i = copied; i < stride; i++) {
        filtered[to + i] = (byte) (pixels[from + i] - pixels[from + i - left]);
      }
      to += stride;
    }
    return size;
  }

  private int deflateScaled(
      byte[] pixels, int offset, int height, int width, int channels, int scale) {
    int stride = width * channels * scale;
    int bound = Math.toIntExact(maxPackedScaled(height, stride, scale));
    if (packed.length < bound) {
      packed = new byte[bound];
    }
    byte[] first = new byte[1 + stride];
    first[0] = NONE;
    byte[] repeated = new byte[1 + stride];
    repeated[0] = UP;
    flatDeflater.reset();
    int size = 0;
    for (int row = 0; row < height; row++) {
      int to = 1;
      for (int x = 0; x < width; x++) {
        int from = offset + (row * width + x) * channels;
        for (int i = 0; i < scale; i++) {
          System.arraycopy(pixels, from, first, to, channels);
          to += channels;
        }
      }
      for (int i = 0; i < scale; i++) {
        flatDeflater.setInput(i == 0 ? first : repeated);
        while (!flatDeflater.needsInput()) {
          size = deflateMore(flatDeflater, size, bound);
        }
      }
    }
    flatDeflater.finish();
    while (!flatDeflater.finished()) {
      size = deflateMore(flatDeflater, size, bound);
    }
    return size;
  }

  private int deflateMore(Deflater deflater, int size, int bound) {
    if (size == bound) {
      throw new IllegalStateException("an image deflated to more than %d bytes".formatted(bound));
    }
    return size + deflater.deflate(packed, size, bound - size);
  }

  private int deflate(Deflater deflater, int size) {
    int bound = Math.toIntExact(maxPacked(size));
    if (packed.length < bound) {
      packed = new byte[bound];
    }
    deflater.reset();
    deflater.setInput(filtered, 0, size);
    deflater.finish();
    int packedSize = deflater.deflate(packed);
    if (!deflater.finished()) { // The first call after a change of strategy may end early.
      packedSize += deflater.deflate(packed, packedSize, packed.length - packedSize);
    }
    if (!deflater.finished()) {
      throw new IllegalStateException("%d bytes deflated to more than %d".formatted(size, bound));
    }
    return packedSize;
  }

  /**
   * Deflate stores what it cannot compress, with 5 bytes per block of at least 16383; this bound is
   * more than twice that.
   */
  private static long maxPacked(long bytes) {
    return bytes + bytes / 1024 + 64;
  }

  /**
   * A block takes at most as much as with fixed codes: 9 bits per byte, or less where a match
   * replaces bytes; this bound has 10. A repeated row is a few matches of up to 258 bytes, in 13
   * bits each; this bound allows twice that.
   *
   * @param stride bytes of an enlarged row
   */
  private static long maxPackedScaled(long height, long stride, int scale) {
    long first = stride + stride / 4 + 16;
    long repeated = stride / 64 + 16;
    return height * (first + (scale - 1) * repeated) + 64;
  }

  private void chunk(ByteBuffer png, String type, byte[] data, int size) {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    crc.reset();
    crc.update(name);
    crc.update(data, 0, size);
    png.putInt(size).put(name).put(data, 0, size).putInt((int) crc.getValue());
  }
}
