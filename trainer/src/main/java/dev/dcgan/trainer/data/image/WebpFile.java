package dev.dcgan.trainer.data.image;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * A WebP, taken apart (RFC 9649). The reader gets one image: that of the file, or the first frame
 * of an animation.
 */
final class WebpFile {

  private static final int HEADER_BYTES = 12;
  private static final int ALPHA = 0x10;
  private static final int FRAME_HEADER_BYTES = 16;

  private final byte[] file;
  private final ByteBuffer in;
  private final ByteArrayOutputStream image = new ByteArrayOutputStream(); // its chunks

  // Mutable state
  private int orientation = 1;
  private byte @Nullable [] profile;
  private int canvas = -1; // offset of the extended header's data
  private int frame = -1; // offset of the first frame's data
  private boolean complete; // whether the image's data were found

  private WebpFile(byte[] file) {
    this.file = file;
    in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Takes a WebP apart.
   *
   * @throws IOException if it is incomplete
   */
  static WebpFile of(byte[] file) throws IOException {
    WebpFile webp = new WebpFile(file);
    webp.chunks(HEADER_BYTES, file.length);
    if (!webp.complete) {
      throw new IOException("it is truncated");
    }
    return webp;
  }

  private void chunks(int start, int end) throws IOException {
    for (int at = start; end - at >= 8; ) {
      int length = in.getInt(at + 4);
      String type = new String(file, at, 4, StandardCharsets.ISO_8859_1);
      if (length < 0 || length > end - at - 8) {
        if (complete) {
          return; // what is missing is metadata
        }
        throw new IOException("it is truncated");
      }
      chunk(type, at + 8, length);
      at += 8 + length + (length & 1);
      if (at < 0) {
        return;
      }
    }
  }

  private void chunk(String type, int at, int length) throws IOException {
    switch (type) {
      case "VP8X" -> canvas = length >= 10 ? at : -1;
      case "ICCP" -> profile = copy(at, length);
      case "EXIF" -> orientation = TiffTags.of(copy(at, length)).orientation();
      case "ANMF" -> {
        if (!complete && length > FRAME_HEADER_BYTES) {
          frame = at;
          chunks(at + FRAME_HEADER_BYTES, at + length);
        }
      }
      case "ALPH", "VP8 ", "VP8L" -> {
        if (!complete) {
          image.write(file, at - 8, length + 8);
          if ((length & 1) != 0) {
            image.write(0);
          }
          complete = !type.equals("ALPH");
        }
      }
      default -> {} // XMP, or unknown
    }
  }

  private byte[] copy(int at, int length) {
    byte[] bytes = new byte[length];
    in.get(at, bytes);
    return bytes;
  }

  EncodedImage encoded() {
    boolean extended = canvas >= 0;
    int body = 4 + (extended ? 18 : 0) + image.size();
    ByteBuffer out = ByteBuffer.allocate(8 + body).order(ByteOrder.LITTLE_ENDIAN);
    out.put("RIFF".getBytes(StandardCharsets.ISO_8859_1)).putInt(body);
    out.put("WEBP".getBytes(StandardCharsets.ISO_8859_1));
    if (extended) {
      out.put("VP8X".getBytes(StandardCharsets.ISO_8859_1)).putInt(10);
      // Of the flags only alpha; a frame's size in place of the canvas's.
      out.putInt(file[canvas] & ALPHA);
      out.put(file, frame < 0 ? canvas + 4 : frame + 6, 6);
    }
    out.put(image.toByteArray());
    return new EncodedImage(out.array(), orientation, profile);
  }
}
