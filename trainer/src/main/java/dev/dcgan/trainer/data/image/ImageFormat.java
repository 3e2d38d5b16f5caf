package dev.dcgan.trainer.data.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** The formats that are read. A file's content decides, not its extension. */
enum ImageFormat {
  PNG,
  JPEG,
  GIF,
  BMP,
  TIFF,
  WEBP;

  private static final String CONVERT = "; convert it to PNG";

  /** The first bytes of a format that is not read; {@code offset} is 4 for ISO media files. */
  private record Unsupported(int offset, String hex, String what) {

    boolean matches(byte[] file) {
      return startsWith(file, offset, HexFormat.of().parseHex(hex));
    }
  }

  // Specific ones first: a brand of an ISO media file stands behind "ftyp".
  private static final List<Unsupported> UNSUPPORTED =
      List.of(
          image(0, "0000000C6A502020", "JPEG 2000"),
          image(0, "FF4FFF51", "JPEG 2000"),
          image(0, "0000000C4A584C20", "JPEG XL"),
          image(0, "FF0A", "JPEG XL"),
          image(0, "4949BC", "JPEG XR"),
          image(0, "49492B00", "BigTIFF"),
          image(0, "4D4D002B", "BigTIFF"),
          image(4, ascii("ftypavi"), "AVIF"),
          image(4, ascii("ftyphe"), "HEIC"),
          image(4, ascii("ftypmif1"), "HEIF"),
          image(4, ascii("ftypmsf1"), "HEIF"),
          raw(4, ascii("ftypcrx")),
          other(4, ascii("ftyp"), "a video, not an image; export its frames as PNG"),
          raw(0, ascii("FUJIFILMCCD-RAW")),
          raw(0, ascii("IIRO")),
          raw(0, ascii("IIRS")),
          raw(0, "49495500"),
          image(0, ascii("8BPS"), "Photoshop"),
          image(0, "762F3101", "OpenEXR"),
          image(0, ascii("#?RADIANCE"), "Radiance HDR"),
          image(0, "00000100", "an icon (ICO)"),
          image(0, "00000200", "TGA or a cursor (CUR)"),
          image(0, ascii("icns"), "an icon (ICNS)"),
          image(0, ascii("DDS "), "DDS"),
          image(0, ascii("qoif"), "QOI"),
          image(0, ascii("FLIF"), "FLIF"),
          image(0, "425047FB", "BPG"),
          image(0, ascii("SIMPLE  ="), "FITS"),
          image(0, ascii("gimp xcf"), "GIMP"),
          image(0, ascii("AT&TFORM"), "DjVu"),
          image(0, "0A050108", "PCX"),
          image(0, "D7CDC69A", "Windows metafile"),
          other(0, ascii("%PDF"), "a PDF; export its pages as PNG"),
          other(0, ascii("%!PS"), "PostScript; export its pages as PNG"),
          other(0, ascii("PK\3\4"), "a zip; name it with --data or unpack it"),
          other(0, "1F8B", "a gzip file; unpack it"),
          other(0, ascii("Rar!"), "a RAR archive; unpack it"),
          other(0, "377ABCAF271C", "a 7z archive; unpack it"),
          other(0, "00051607", "metadata of macOS, not an image; delete it"),
          other(0, ascii("bplist"), "a property list of macOS, not an image; delete it"),
          other(0, ascii("RIFF"), "sound or video (RIFF), not a WebP; delete it"));

  private static final int TEXT_LENGTH = 1024;

  private static Unsupported image(int offset, String hex, String name) {
    return new Unsupported(offset, hex, name + CONVERT);
  }

  private static Unsupported raw(int offset, String hex) {
    return new Unsupported(offset, hex, "a camera raw file; develop it and export it as PNG");
  }

  private static Unsupported other(int offset, String hex, String what) {
    return new Unsupported(offset, hex, what);
  }

  private static String ascii(String text) {
    return HexFormat.of().formatHex(text.getBytes(StandardCharsets.US_ASCII));
  }

  /**
   * The format of a file.
   *
   * @throws IOException if it is not read; the message has its name and a remedy
   */
  static ImageFormat of(byte[] file) throws IOException {
    if (file.length == 0) {
      throw new IOException("it is empty (0 bytes); copy it again");
    }
    if (startsWith(file, 0, new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'})) {
      return PNG;
    } else if (startsWith(file, 0, new byte[] {(byte) 0xFF, (byte) 0xD8})) {
      return JPEG;
    } else if (startsWith(file, 0, new byte[] {'G', 'I', 'F', '8'})) {
      return GIF;
    } else if (startsWith(file, 0, new byte[] {'B', 'M'}) && !isText(file)) {
      return BMP;
    } else if (startsWith(file, 0, new byte[] {'I', 'I', 42, 0})
        || startsWith(file, 0, new byte[] {'M', 'M', 0, 42})) {
      return TIFF;
    } else if (startsWith(file, 0, new byte[] {'R', 'I', 'F', 'F'})
        && startsWith(file, 8, new byte[] {'W', 'E', 'B', 'P'})) {
      return WEBP;
    }
    throw new IOException("it is " + describe(file));
  }

  private static String describe(byte[] file) {
    String start = text(file);
    if (start.startsWith("ftyp", 4) && start.contains("avif")) {
      return "AVIF" + CONVERT; // Its major brand may be that of any HEIF.
    }
    for (Unsupported unsupported : UNSUPPORTED) {
      if (unsupported.matches(file)) {
        return unsupported.what;
      }
    }
    if (isText(file)) {
      return describeText(start.replace("\u00EF\u00BB\u00BF", "").strip());
    }
    for (byte value : file) {
      if (value != 0) {
        return "not a PNG, JPEG, GIF, BMP, TIFF or WebP" + CONVERT;
      }
    }
    return "all zero bytes; copy it again";
  }

  private static String describeText(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    if (lower.startsWith("version https://git-lfs")) {
      return "a Git LFS pointer; run git lfs pull";
    } else if (lower.contains("<svg")) {
      return "SVG" + CONVERT;
    } else if (lower.startsWith("<!doctype html") || lower.contains("<html")) {
      return "an HTML page, not an image; download the image again";
    } else if (lower.matches("(?s)p[1-6f]\\s.*")) {
      return "a portable anymap (PNM)" + CONVERT;
    }
    return "text, not an image (%s); download the image again"
        .formatted(text.substring(0, Math.min(40, text.length())).replaceAll("\\s+", " "));
  }

  private static boolean isText(byte[] file) {
    return text(file)
            .chars()
            .allMatch(c -> (c >= ' ' && c != 0x7F) || c == '\t' || c == '\n' || c == '\r')
        || (startsWith(file, 0, new byte[] {'P'}) && text(file).matches("(?s)P[1-6f]\\s.*"));
  }

  private static String text(byte[] file) {
    return new String(file, 0, Math.min(file.length, TEXT_LENGTH), StandardCharsets.ISO_8859_1);
  }

  private static boolean startsWith(byte[] file, int offset, byte[] start) {
    return file.length >= offset + start.length
        && Arrays.equals(file, offset, offset + start.length, start, 0, start.length);
  }
}
