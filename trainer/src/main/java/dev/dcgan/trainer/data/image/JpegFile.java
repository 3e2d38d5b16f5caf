package dev.dcgan.trainer.data.image;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A JPEG, taken apart. The reader gets neither metadata nor profiles, which it would check more
 * strictly than browsers do, and returns the components as they are stored. The color space is
 * chosen as in libjpeg, which browsers use.
 */
final class JpegFile {

  private static final int SOI = 0xD8;
  private static final int EOI = 0xD9;
  private static final int SOS = 0xDA;
  private static final int APP0 = 0xE0;
  private static final int APP1 = 0xE1;
  private static final int APP2 = 0xE2;
  private static final int APP14 = 0xEE;
  private static final int APP15 = 0xEF;
  private static final int COM = 0xFE;
  private static final byte[] EXIF = "Exif\0\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] ICC = "ICC_PROFILE\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] JFIF = "JFIF\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] ADOBE = "Adobe".getBytes(StandardCharsets.ISO_8859_1);

  private final byte[] file;
  private final ByteArrayOutputStream stripped = new ByteArrayOutputStream();

  // Mutable state
  private boolean jfif;
  private int adobeTransform = -1; // -1 without Adobe's marker
  private byte @Nullable [] exif;
  private byte[] frame = new byte[0]; // the start-of-frame segment
  private byte @Nullable [][] profileParts; // by sequence number from 1
  private boolean profileBroken;

  private JpegFile(byte[] file) {
    this.file = file;
  }

  /**
   * Takes a JPEG apart.
   *
   * @throws IOException if it is of a kind that cannot be read
   */
  static JpegFile of(byte[] file) throws IOException {
    JpegFile jpeg = new JpegFile(file);
    jpeg.parse();
    return jpeg;
  }

  private void parse() throws IOException {
    stripped.write(0xFF);
    stripped.write(SOI);
    int at = 2;
    while (at + 4 <= file.length) {
      if (file[at] != (byte) 0xFF || file[at + 1] == (byte) 0xFF || file[at + 1] == 0) {
        at++; // Fill bytes, or garbage between segments, which libjpeg skips.
        continue;
      }
      int marker = file[at + 1] & 0xFF;
      if (marker == SOS) {
        requireFrame();
        stripped.write(file, at, file.length - at);
        return;
      }
      if (marker == EOI) {
        break;
      }
      if (marker == SOI || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {
        at += 2; // without a length
        continue;
      }
      int length = ((file[at + 2] & 0xFF) << 8) | (file[at + 3] & 0xFF);
      int end = at + 2 + length;
      if (length < 2 || end > file.length) {
        break;
      }
      segment(marker, Arrays.copyOfRange(file, at + 4, end));
      if (marker < APP0 || (marker > APP15 && marker != COM)) {
        stripped.write(file, at, end - at);
      }
      at = end;
    }
    throw new IOException("it is truncated");
  }

  private void segment(int marker, byte[] data) throws IOException {
    if ((marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
        || marker == 0xF7) {
      frame(marker, data);
    } else if (marker == APP0 && startsWith(data, JFIF)) {
      jfif = true;
    } else if (marker == APP1 && startsWith(data, EXIF) && exif == null) {
      exif = Arrays.copyOfRange(data, EXIF.length, data.length);
    } else if (marker == APP2 && startsWith(data, ICC) && data.length > ICC.length + 2) {
      profilePart(data);
    } else if (marker == APP14 && startsWith(data, ADOBE) && data.length >= 12) {
      adobeTransform = data[11] & 0xFF;
    }
  }

  private void frame(int marker, byte[] data) throws IOException {
    if (frame.length > 0 || data.length < 6) {
      throw new IOException("it is damaged (its frame header)");
    }
    String kind = "";
    if (marker == 0xF7) {
      kind = "JPEG-LS";
    } else if (marker > 0xC8) {
      kind = "a JPEG with arithmetic coding";
    } else if (marker > 0xC2) {
      kind = marker == 0xC3 ? "a lossless JPEG" : "a hierarchical JPEG";
    } else if (data[0] != 8) {
      kind = "a JPEG of %d bits per sample".formatted(data[0]);
    }
    if (!kind.isEmpty()) {
      throw new IOException("it is %s; convert it to PNG".formatted(kind));
    }
    frame = data;
    if ((components() != 1 && components() != 3 && components() != 4)
        || data.length < 6 + 3 * components()) {
      throw new IOException(
          "it is a JPEG of %d components; expected 1 (grey), 3 (color) or 4 (CMYK)"
              .formatted(components()));
    }
  }

  private void requireFrame() throws IOException {
    if (frame.length == 0) {
      throw new IOException("it is damaged (it has no frame header)");
    }
  }

  private void profilePart(byte[] data) {
    int number = data[ICC.length] & 0xFF;
    int count = data[ICC.length + 1] & 0xFF;
    if (profileParts == null) {
      profileParts = new byte[count + 1][];
      Arrays.fill(profileParts, new byte[0]);
    }
    if (number < 1
        || number > count
        || count != profileParts.length - 1
        || profileParts[number].length > 0) {
      profileBroken = true;
    } else {
      profileParts[number] = Arrays.copyOfRange(data, ICC.length + 2, data.length);
    }
  }

  private static boolean startsWith(byte[] data, byte[] start) {
    return data.length >= start.length
        && Arrays.equals(data, 0, start.length, start, 0, start.length);
  }

  int components() {
    return frame[5] & 0xFF;
  }

  EncodedImage encoded() {
    return new EncodedImage(
        stripped.toByteArray(), exif == null ? 1 : TiffTags.of(exif).orientation(), profile());
  }

  private byte @Nullable [] profile() {
    if (profileParts == null || profileBroken) {
      return null;
    }
    ByteArrayOutputStream whole = new ByteArrayOutputStream();
    for (int i = 1; i < profileParts.length; i++) {
      if (profileParts[i].length == 0) {
        return null;
      }
      whole.writeBytes(profileParts[i]);
    }
    return whole.toByteArray();
  }

  /** Whether the first three components are YCbCr. */
  private boolean isLumaChroma() {
    if (components() == 4) {
      return adobeTransform > 0;
    } else if (components() == 1) {
      return false;
    } else if (jfif || adobeTransform > 0) {
      return true;
    }
    boolean rgb = frame[6] == 'R' && frame[9] == 'G' && frame[12] == 'B';
    return adobeTransform < 0 && !rgb;
  }

  /**
   * Converts the stored components to grey, RGB, or CMYK with 0 for no ink.
   *
   * @param samples uint8 (pixels, components); overwritten
   */
  void convert(byte[] samples) {
    int bands = components();
    if (isLumaChroma()) {
      for (int i = 0; i < samples.length; i += bands) {
        toRgb(samples, i);
      }
      if (bands == 3) {
        return;
      }
    } else if (bands != 4) {
      return;
    }
    // Inks are stored inverted, with Adobe's marker and, by all common readers, without. From
    // YCCK, the conversion gave 255 - ink.
    for (int i = 0; i < samples.length; i++) {
      samples[i] = (byte) ~samples[i];
    }
  }

  /** YCbCr to RGB in the fixed-point arithmetic of libjpeg: the same bytes (JFIF 1.02). */
  private static void toRgb(byte[] samples, int at) {
    int y = samples[at] & 0xFF;
    int cb = (samples[at + 1] & 0xFF) - 128;
    int cr = (samples[at + 2] & 0xFF) - 128;
    samples[at] = clamp(y + ((91881 * cr + 32768) >> 16));
    samples[at + 1] = clamp(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
    samples[at + 2] = clamp(y + ((116130 * cb + 32768) >> 16));
  }

  private static byte clamp(int value) {
    return (byte) Math.max(0, Math.min(255, value));
  }
}
