package dev.dcgan.sampler.image;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/**
 * Writes 8-bit grey and RGB pictures as PNG (ISO/IEC 15948), made for many small ones: every row
 * with the Sub filter, fastest deflate, everything reused. Not thread-safe.
 */
final class PngEncoder {

  private static final long SIGNATURE = 0x89504E470D0A1A0AL;
  private static final byte SUB = 1;
  private static final int GREY = 0;
  private static final int RGB = 2;
  private static final int HEADER_BYTES = 13;
  // The signature, and three chunks (IHDR, IDAT, IEND) of length, type and CRC.
  private static final int FRAME_BYTES = 8 + 3 * 12 + HEADER_BYTES;

  private final Deflater deflater = new Deflater(Deflater.BEST_SPEED);
  private final CRC32 crc = new CRC32();

  // Mutable state
  private byte[] filtered = new byte[0];
  private byte[] packed = new byte[0];

  /** What a PNG of this size takes at most, whatever it shows. */
  static long maxBytes(long height, long width, int channels) {
    return FRAME_BYTES + maxPacked(height * (1 + width * channels));
  }

  /**
   * Encodes a picture.
   *
   * @param pixels (height, width, channels) from {@code offset} on
   * @param channels 1 or 3
   */
  byte[] encode(byte[] pixels, int offset, int height, int width, int channels) {
    int size = filter(pixels, offset, height, width * channels, channels);
    int packedSize = deflate(size);
    ByteBuffer png = ByteBuffer.allocate(FRAME_BYTES + packedSize);
    png.putLong(SIGNATURE);
    byte[] header =
        ByteBuffer.allocate(HEADER_BYTES)
            .putInt(width)
            .putInt(height)
            .put((byte) 8)
            .put((byte) (channels == 1 ? GREY : RGB))
            .array();
    chunk(png, "IHDR", header, HEADER_BYTES);
    chunk(png, "IDAT", packed, packedSize);
    chunk(png, "IEND", packed, 0);
    return png.array();
  }

  /** Every byte less the one a pixel to its left. */
  private int filter(byte[] pixels, int offset, int height, int stride, int channels) {
    int size = height * (1 + stride);
    if (filtered.length < size) {
      filtered = new byte[size];
    }
    int to = 0;
    for (int row = 0; row < height; row++) {
      int from = offset + row * stride;
      filtered[to++] = SUB;
      System.arraycopy(pixels, from, filtered, to, channels);
      for (int i = channels; i < stride; i++) {
        filtered[to + i] = (byte) (pixels[from + i] - pixels[from + i - channels]);
      }
      to += stride;
    }
    return size;
  }

  private int deflate(int size) {
    int bound = Math.toIntExact(maxPacked(size));
    if (packed.length < bound) {
      packed = new byte[bound];
    }
    deflater.reset();
    deflater.setInput(filtered, 0, size);
    deflater.finish();
    int packedSize = deflater.deflate(packed);
    if (!deflater.finished()) {
      throw new IllegalStateException("%d bytes deflated to more than %d".formatted(size, bound));
    }
    return packedSize;
  }

  /**
   * Deflate stores what it cannot shrink, at 5 bytes a block of at least 16383; this is twice that.
   */
  private static long maxPacked(long bytes) {
    return bytes + bytes / 1024 + 64;
  }

  private void chunk(ByteBuffer png, String type, byte[] data, int size) {
    byte[] name = type.getBytes(StandardCharsets.US_ASCII);
    crc.reset();
    crc.update(name);
    crc.update(data, 0, size);
    png.putInt(size).put(name).put(data, 0, size).putInt((int) crc.getValue());
  }
}
