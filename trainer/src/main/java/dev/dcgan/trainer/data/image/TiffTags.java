package dev.dcgan.trainer.data.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The tags of the first directory of a TIFF, which is the format of EXIF too (TIFF 6.0, section 2).
 * Whatever is damaged reads as missing.
 */
final class TiffTags {

  private static final int NEW_SUBFILE_TYPE = 254;
  private static final int BITS_PER_SAMPLE = 258;
  private static final int COMPRESSION = 259;
  private static final int PHOTOMETRIC = 262;
  private static final int ORIENTATION = 274;
  private static final int SAMPLES_PER_PIXEL = 277;
  private static final int PREDICTOR = 317;
  private static final int SUB_DIRECTORIES = 330;
  private static final int EXTRA_SAMPLES = 338;
  private static final int SAMPLE_FORMAT = 339;
  private static final int PROFILE = 34675;
  private static final int DNG_VERSION = 50706;
  // Unknown to every reader.
  private static final int UNUSED = 34674;
  private static final int ENTRY_BYTES = 12;
  private static final int SHORT = 3;
  private static final int LONG = 4;

  private final byte[] file;
  private final ByteBuffer tiff;

  private TiffTags(byte[] file) {
    this.file = file;
    boolean little = file.length > 0 && file[0] == 'I';
    tiff = ByteBuffer.wrap(file).order(little ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
  }

  /** Reads TIFF or EXIF; some programs leave the prefix of JPEG's EXIF in other formats. */
  static TiffTags of(byte[] bytes) {
    boolean prefixed =
        bytes.length > 6 && bytes[0] == 'E' && bytes[1] == 'x' && bytes[2] == 'i' && bytes[4] == 0;
    return new TiffTags(prefixed ? Arrays.copyOfRange(bytes, 6, bytes.length) : bytes);
  }

  /** The orientation, 1 to 8; 1 if there is none. */
  int orientation() {
    int value = value(ORIENTATION, 1);
    return value >= 1 && value <= 8 ? value : 1;
  }

  /** The ICC profile; null if there is none. */
  byte @Nullable [] profile() {
    int entry = find(PROFILE);
    try {
      if (entry < 0) {
        return null;
      }
      int length = tiff.getInt(entry + 4);
      int start = tiff.getInt(entry + 8);
      return start < 0 || length < 0 || length > tiff.capacity() - start
          ? null
          : Arrays.copyOfRange(file, start, start + length);
    } catch (IndexOutOfBoundsException e) {
      return null;
    }
  }

  /** The file with its profile hidden from readers. */
  byte[] withoutProfile() {
    int entry = find(PROFILE);
    if (entry < 0) {
      return file;
    }
    byte[] copy = file.clone();
    ByteBuffer.wrap(copy).order(tiff.order()).putShort(entry, (short) UNUSED);
    return copy;
  }

  /**
   * Checks that the TIFF is of a kind that can be read.
   *
   * @throws IOException if it is not; the message has its name and a remedy
   */
  void requireReadable() throws IOException {
    int photometric = value(PHOTOMETRIC, 0);
    // Camera raw formats are TIFFs, whose first image is a thumbnail.
    boolean thumbnailFirst = (value(NEW_SUBFILE_TYPE, 0) & 1) != 0 && find(SUB_DIRECTORIES) >= 0;
    if (find(DNG_VERSION) >= 0
        || thumbnailFirst
        || photometric == 32803
        || photometric == 34892
        || (tiff.capacity() > 10 && tiff.get(8) == 'C' && tiff.get(9) == 'R')) {
      throw new IOException("it is a camera raw file; develop it and export it as PNG");
    }
    if (photometric >= 8 && photometric <= 10) {
      throw new IOException("it is a TIFF in the Lab color space; convert it to PNG");
    }
    if (photometric == 32844 || photometric == 32845) {
      throw new IOException("it is a TIFF in the LogLuv color space; convert it to PNG");
    }
    int format = value(SAMPLE_FORMAT, 1);
    if (format == 2 || format == 3) {
      throw new IOException(
          "it is a TIFF of %s samples; convert it to PNG"
              .formatted(format == 2 ? "signed" : "floating-point"));
    }
  }

  /** Whether the fourth sample, if there is one, is alpha: Photoshop's masks are of type 0. */
  boolean hasAlpha() {
    return value(EXTRA_SAMPLES, 1) != 0;
  }

  /** Whether the JDK's reader refuses the TIFF, or returns wrong samples. */
  boolean isBeyondTheJdk() {
    int bits = value(BITS_PER_SAMPLE, 1);
    int compression = value(COMPRESSION, 1);
    boolean jpeg = compression == 6 || compression == 7;
    return (bits == 16 && (value(PREDICTOR, 1) != 1 || value(PHOTOMETRIC, 0) == 5))
        || bits == 12
        || (jpeg && value(SAMPLES_PER_PIXEL, 1) > 3);
  }

  /** The first value of a tag of integers. */
  private int value(int tag, int missing) {
    int entry = find(tag);
    if (entry < 0) {
      return missing;
    }
    try {
      int type = tiff.getShort(entry + 2);
      int count = tiff.getInt(entry + 4);
      boolean inPlace = count <= (type == SHORT ? 2 : 1);
      int at = inPlace ? entry + 8 : tiff.getInt(entry + 8);
      return type == SHORT ? tiff.getShort(at) & 0xFFFF : type == LONG ? tiff.getInt(at) : missing;
    } catch (IndexOutOfBoundsException e) {
      return missing;
    }
  }

  /** The offset of a tag's entry; -1 if it is missing. */
  private int find(int tag) {
    try {
      int directory = tiff.getInt(4);
      int entries = tiff.getShort(directory) & 0xFFFF;
      for (int i = 0; i < entries; i++) {
        int entry = directory + 2 + i * ENTRY_BYTES;
        if ((tiff.getShort(entry) & 0xFFFF) == tag) {
          return entry;
        }
      }
      return -1;
    } catch (IndexOutOfBoundsException e) {
      return -1;
    }
  }
}
