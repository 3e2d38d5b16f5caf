package dev.dcgan.trainer.data.image;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * A PNG, taken apart. The reader gets the critical chunks only; a transparent color is applied to
 * what it returns, since it knows them at some bit depths only.
 */
final class PngFile {

  private static final Set<String> CRITICAL = Set.of("IHDR", "PLTE", "IDAT", "IEND");
  private static final int SIGNATURE_BYTES = 8;
  private static final int CHUNK_BYTES = 12; // length, type and checksum
  private static final int MAX_PROFILE_BYTES = 16 << 20;
  private static final int GREY = 0;
  private static final int RGB = 2;

  private final ByteArrayOutputStream stripped = new ByteArrayOutputStream();

  // Mutable state
  private int colorType;
  private int orientation = 1;
  private byte @Nullable [] profile;
  private int @Nullable [] transparent;

  private PngFile() {}

  /**
   * Takes a PNG apart. Whatever follows an incomplete chunk is left to the reader.
   *
   * @throws IOException if the checksum of a critical chunk is wrong
   */
  static PngFile of(byte[] file) throws IOException {
    PngFile png = new PngFile();
    ByteBuffer in = ByteBuffer.wrap(file);
    png.stripped.write(file, 0, SIGNATURE_BYTES);
    int at = SIGNATURE_BYTES;
    while (file.length - at >= CHUNK_BYTES) {
      int length = in.getInt(at);
      if (length < 0 || length > file.length - at - CHUNK_BYTES) {
        break;
      }
      String type = new String(file, at + 4, 4, StandardCharsets.ISO_8859_1);
      png.chunk(file, at, length, type);
      at += CHUNK_BYTES + length;
      if (type.equals("IEND")) {
        return png;
      }
    }
    png.stripped.write(file, at, file.length - at);
    return png;
  }

  private void chunk(byte[] file, int at, int length, String type) throws IOException {
    ByteBuffer data = ByteBuffer.wrap(file, at + 8, length).slice();
    boolean needed = CRITICAL.contains(type);
    if (type.equals("IHDR") && length >= 10) {
      colorType = data.get(9);
    } else if (type.equals("tRNS") && (colorType == GREY || colorType == RGB)) {
      transparent = transparent(data);
    } else if (type.equals("tRNS")) {
      needed = true; // the alpha of a palette
    } else if (type.equals("eXIf")) {
      orientation = TiffTags.of(bytes(data)).orientation();
    } else if (type.equals("iCCP")) {
      profile = profile(bytes(data));
    }
    if (needed) {
      CRC32 checksum = new CRC32();
      checksum.update(file, at + 4, length + 4);
      if ((int) checksum.getValue() != ByteBuffer.wrap(file).getInt(at + 8 + length)) {
        throw new IOException("it is damaged (the checksum of %s is wrong)".formatted(type));
      }
      stripped.write(file, at, CHUNK_BYTES + length);
    }
  }

  private int @Nullable [] transparent(ByteBuffer data) {
    int[] color = new int[colorType == GREY ? 1 : 3];
    if (data.limit() < 2 * color.length) {
      return null;
    }
    for (int i = 0; i < color.length; i++) {
      color[i] = data.getShort(2 * i) & 0xFFFF;
    }
    return color;
  }

  private static byte[] bytes(ByteBuffer data) {
    byte[] bytes = new byte[data.remaining()];
    data.get(bytes);
    return bytes;
  }

  /** Inflates the profile of an iCCP chunk: name, 0, method 0, zlib data. */
  private static byte @Nullable [] profile(byte[] chunk) {
    int start = 0;
    while (start < chunk.length && chunk[start] != 0) {
      start++;
    }
    if (start + 2 >= chunk.length) {
      return null;
    }
    Inflater inflater = new Inflater();
    try {
      inflater.setInput(chunk, start + 2, chunk.length - start - 2);
      ByteArrayOutputStream whole = new ByteArrayOutputStream();
      byte[] buffer = new byte[1 << 13];
      while (!inflater.finished() && whole.size() < MAX_PROFILE_BYTES) {
        int count = inflater.inflate(buffer);
        if (count == 0) {
          return null;
        }
        whole.write(buffer, 0, count);
      }
      return whole.toByteArray();
    } catch (DataFormatException e) {
      return null;
    } finally {
      inflater.end();
    }
  }

  EncodedImage encoded() {
    return new EncodedImage(stripped.toByteArray(), orientation, profile);
  }

  /** The samples of the transparent color, as they are stored; null if there is none. */
  int @Nullable [] transparent() {
    return transparent;
  }
}
