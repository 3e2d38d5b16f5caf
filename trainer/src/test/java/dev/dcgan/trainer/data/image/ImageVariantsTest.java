package dev.dcgan.trainer.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.model.ImageShape;
import java.awt.color.ColorSpace;
import java.awt.color.ICC_Profile;
import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What cameras and other programs write: orientation, profiles, color spaces, other formats. */
final class ImageVariantsTest {

  private static final ImageShape SQUARE = new ImageShape(8, 8, 3);

  // Written with Pillow: 8 x 8 pixels, red at the left and blue at the right.
  private static final String WEBP = "UklGRh4AAABXRUJQVlA4TBIAAAAvB8ABAA8Q87//8x8O+hDR/wA=";
  private static final String WEBP_ORIENTATION_6 =
      "UklGRlIAAABXRUJQVlA4WAoAAAAIAAAABwAABwAAVlA4TBIAAAAvB8ABAA8Q87//8x8O+hDR/wBFWElGGgAAAE1N"
          + "ACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA";
  private static final String WEBP_LEFT_TRANSPARENT =
      "UklGRiAAAABXRUJQVlA4TBQAAAAvB8ABEA8wCZNwhf/9Dx70IaL/AQ==";
  private static final String WEBP_TWO_FRAMES =
      "UklGRogAAABXRUJQVlA4WAoAAAACAAAABwAABwAAQU5JTQYAAAAAAAAAAABBTk1GKgAAAAAAAAAAAAcAAAcAAAAA"
          + "AAJWUDhMEgAAAC8HwAEADxDzv//zHw76ENH/AEFOTUYqAAAAAAAAAAAABwAABwAAAAAAAFZQOEwSAAAALwfA"
          + "AQAPEPO///MfDgof0f8A";
  // RGB (200, 60, 40) everywhere.
  private static final String WEBP_LOSSY =
      "UklGRjwAAABXRUJQVlA4IDAAAADwAQCdASoIAAgAAUAmJaACdLoB+AAEgwAA/u4KZ/5BcsLrka/9pZ+pZ+pZ/ioA"
          + "AAA=";

  /** What the upright image has at its top left, top right, bottom left and bottom right. */
  @ParameterizedTest
  @CsvSource({
    "1, RGBW", "2, GRWB", "3, WBGR", "4, BWRG", "5, RBGW", "6, BRWG", "7, WGBR", "8, GWRB"
  })
  void exifOrientation_isApplied(int orientation, String upright) throws IOException {
    byte[] png = encode(quadrants(), "png");
    byte[] jpeg = encode(quadrants(), "jpg");
    byte[] tiff = encode(quadrants(), "tif");

    for (ByteOrder order : new ByteOrder[] {ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN}) {
      byte[] exif = exif(orientation, order);
      assertThat(corners(withSegment(jpeg, 0xE1, "Exif\0\0", exif))).isEqualTo(upright);
      assertThat(corners(withChunk(png, "eXIf", exif))).isEqualTo(upright);
    }
    assertThat(corners(withTag(tiff, 274, orientation))).isEqualTo(upright);
    assertThat(
            ImageDecoder.decode(withTag(tiff, 274, orientation), new ImageShape(16, 16, 3))
                .rotated())
        .isEqualTo(orientation > 1);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void cropAndSubsampling_areThoseOfTheUprightImage(int orientation) throws IOException {
    BufferedImage stored = new BufferedImage(61, 47, BufferedImage.TYPE_3BYTE_BGR);
    for (int i = 0; i < 61 * 47; i++) {
      stored.setRGB(i % 61, i / 61, i * 7919 * 31);
    }
    ImageShape target = new ImageShape(3, 1, 3);
    byte[] pixels = ImageDecoder.decode(encode(stored, "png"), new ImageShape(47, 61, 3)).pixels();
    Bitmap turned = new Bitmap(61, 47, 3, pixels).upright(orientation);
    BufferedImage upright =
        new BufferedImage(turned.width(), turned.height(), BufferedImage.TYPE_3BYTE_BGR);
    for (int i = 0; i < turned.width() * turned.height(); i++) {
      int rgb =
          ((turned.pixels()[3 * i] & 0xFF) << 16)
              | ((turned.pixels()[3 * i + 1] & 0xFF) << 8)
              | (turned.pixels()[3 * i + 2] & 0xFF);
      upright.setRGB(i % turned.width(), i / turned.width(), rgb);
    }

    byte[] file = withChunk(encode(stored, "png"), "eXIf", exif(orientation, ByteOrder.BIG_ENDIAN));

    assertThat(ImageDecoder.decode(file, target).pixels())
        .isEqualTo(ImageDecoder.decode(encode(upright, "png"), target).pixels());
  }

  @Test
  void damagedExif_isIgnored() throws IOException {
    byte[] jpeg = encode(quadrants(), "jpg");
    byte[] exif = exif(6, ByteOrder.BIG_ENDIAN);

    for (int length = 0; length < 18; length++) {
      byte[] cut = Arrays.copyOf(exif, length);
      assertThat(corners(withSegment(jpeg, 0xE1, "Exif\0\0", cut))).isEqualTo("RGBW");
    }
    assertThat(corners(withSegment(jpeg, 0xE1, "Exif\0\0", exif(9, ByteOrder.BIG_ENDIAN))))
        .isEqualTo("RGBW");
  }

  @Test
  void webp_isDecoded() throws IOException {
    assertThat(leftAndRight(webp(WEBP))).containsExactly(255, 0, 0, 0, 0, 255);
    assertThat(leftAndRight(webp(WEBP_TWO_FRAMES))).containsExactly(255, 0, 0, 0, 0, 255);
    assertThat(leftAndRight(webp(WEBP_LEFT_TRANSPARENT))).containsExactly(255, 255, 255, 0, 0, 255);
    // Upright, what was left is at the top.
    byte[] turned = ImageDecoder.decode(webp(WEBP_ORIENTATION_6), SQUARE).pixels();
    assertThat(Arrays.copyOf(turned, 6)).containsExactly(-1, 0, 0, -1, 0, 0);
    int[] lossy = leftAndRight(webp(WEBP_LOSSY));
    assertThat(lossy[0]).isBetween(194, 206);
    assertThat(lossy[1]).isBetween(54, 66);
    assertThat(lossy[2]).isBetween(34, 46);
  }

  @ParameterizedTest
  @ValueSource(strings = {WEBP, WEBP_TWO_FRAMES, WEBP_LOSSY, WEBP_LEFT_TRANSPARENT})
  void truncatedWebp_isRefused(String base64) {
    byte[] file = webp(base64);

    for (int length : new int[] {40, 24, 18, 12}) {
      assertThatIOException()
          .isThrownBy(() -> ImageDecoder.decode(Arrays.copyOf(file, length - 12), SQUARE));
      if (length < file.length) {
        assertThatIOException()
            .isThrownBy(() -> ImageDecoder.decode(Arrays.copyOf(file, length), SQUARE));
      }
    }
  }

  /** As libjpeg decides, and so browsers: JFIF, then Adobe's marker, then the component ids. */
  @ParameterizedTest
  @CsvSource({
    "1 2 3, false, -1, YCbCr",
    "0 1 2, false, -1, YCbCr",
    "1 34 35, false, -1, YCbCr",
    "82 71 66, false, -1, RGB",
    "1 2 3, false, 0, RGB",
    "1 2 3, false, 1, YCbCr",
    "1 2 3, true, 0, YCbCr",
    "82 71 66, true, -1, YCbCr"
  })
  void jpegColorSpace_isThatOfBrowsers(String ids, boolean jfif, int adobe, String expected)
      throws IOException {
    byte[] jpeg = rawJpeg(ids, 100, 90, 200);
    if (adobe >= 0) {
      jpeg = withAdobe(jpeg, adobe);
    }
    if (jfif) {
      jpeg = withSegment(jpeg, 0xE0, "JFIF\0", new byte[] {1, 1, 0, 0, 1, 0, 1, 0, 0});
    }

    int[] colors = leftAndRight(jpeg);

    // R = Y + 1.402 (Cr - 128), G = Y - 0.344 (Cb - 128) - 0.714 (Cr - 128), B = Y + 1.772 ...
    int[] rgb = expected.equals("RGB") ? new int[] {100, 90, 200} : new int[] {201, 62, 33};
    for (int i = 0; i < 3; i++) {
      assertThat(colors[i]).isBetween(rgb[i] - 2, rgb[i] + 2);
    }
  }

  /** Inks are stored inverted: 255 is no ink. */
  @Test
  void cmykAndYcck_becomeRgb() throws IOException {
    byte[] cmyk = rawJpeg("1 2 3 4", 200, 100, 50, 128);

    for (byte[] file : new byte[][] {cmyk, withAdobe(cmyk, 0)}) {
      int[] colors = leftAndRight(file);
      assertThat(colors[0]).isBetween(98, 103);
      assertThat(colors[1]).isBetween(48, 53);
      assertThat(colors[2]).isBetween(23, 28);
    }
    int[] grey = leftAndRight(withAdobe(rawJpeg("1 2 3 4", 200, 128, 128, 255), 2));
    assertThat(grey[0]).isBetween(198, 202);
    assertThat(grey[1]).isBetween(198, 202);
  }

  @ParameterizedTest
  @CsvSource({"0xC3, lossless", "0xC9, arithmetic", "0xC5, hierarchical", "0xF7, JPEG-LS"})
  void otherKindsOfJpeg_areNamed(String marker, String name) throws IOException {
    byte[] jpeg = encode(quadrants(), "jpg");
    jpeg[frameHeader(jpeg) + 1] = (byte) Integer.decode(marker).intValue();

    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(jpeg, SQUARE))
        .withMessageContainingAll(name, "convert it to PNG");
  }

  @Test
  void twelveBitJpeg_isNamed() throws IOException {
    byte[] jpeg = encode(quadrants(), "jpg");
    jpeg[frameHeader(jpeg) + 4] = 12;

    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(jpeg, SQUARE))
        .withMessageContainingAll("12 bits", "convert it to PNG");
  }

  @Test
  void profiles_areAppliedAlikeInAllFormats() throws IOException {
    BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_3BYTE_BGR);
    image.setRGB(0, 0, 16, 16, filled(256, 0x646464), 0, 16);
    byte[] linear = ICC_Profile.getInstance(ColorSpace.CS_LINEAR_RGB).getData();

    // 100/255 of the light is 168 or so in sRGB.
    byte[] png = withChunk(encode(image, "png"), "iCCP", iccp(linear));
    byte[] jpeg = withSegment(encode(image, "jpg"), 0xE2, "ICC_PROFILE\0\1\1", linear);
    byte[] tiff = withProfile(encode(image, "tif"), linear);
    for (byte[] file : new byte[][] {png, jpeg, tiff}) {
      assertThat(leftAndRight(file)[0]).isBetween(165, 171);
    }
  }

  @Test
  void srgbProfile_changesNoByte() throws IOException {
    byte[] png = encode(quadrants(), "png");
    byte[] srgb = ICC_Profile.getInstance(ColorSpace.CS_sRGB).getData();

    assertThat(ImageDecoder.decode(withChunk(png, "iCCP", iccp(srgb)), SQUARE).pixels())
        .isEqualTo(ImageDecoder.decode(png, SQUARE).pixels());
  }

  @Test
  void unusableProfiles_areIgnored() throws IOException {
    byte[] jpeg = encode(quadrants(), "jpg");
    byte[] expected = ImageDecoder.decode(jpeg, SQUARE).pixels();
    byte[] grey = ICC_Profile.getInstance(ColorSpace.CS_GRAY).getData();
    byte[] linear = ICC_Profile.getInstance(ColorSpace.CS_LINEAR_RGB).getData();
    byte[] cut = Arrays.copyOf(linear, 200);
    String one = "ICC_PROFILE\0\1\1";

    byte[] duplicate = withSegment(withSegment(jpeg, 0xE2, one, linear), 0xE2, one, linear);
    byte[] incomplete = withSegment(jpeg, 0xE2, "ICC_PROFILE\0\1\2", linear);
    byte[] ofGrey = withSegment(jpeg, 0xE2, one, grey);
    byte[] damaged = withSegment(jpeg, 0xE2, one, cut);

    for (byte[] file : new byte[][] {duplicate, incomplete, ofGrey, damaged}) {
      assertThat(ImageDecoder.decode(file, SQUARE).pixels()).isEqualTo(expected);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 8, 16})
  void transparentGrey_isWhiteAtEveryDepth(int bits) throws IOException {
    // Samples 0 and 1 of two pixels a row; 0 is transparent.
    byte[] row = {0, 0, 0, 0, 0};
    int second = bits; // first bit of the second sample
    int last = second + bits - 1;
    row[1 + last / 8] |= (byte) (0x80 >> last % 8);
    byte[] png = png(bits, 0, row, new byte[] {0, 0});

    byte[] pixels = ImageDecoder.decode(png, new ImageShape(2, 2, 1)).pixels();

    assertThat(pixels[0] & 0xFF).isEqualTo(255);
    assertThat(pixels[1] & 0xFF).isEqualTo(bits == 16 ? 0 : 255 / ((1 << bits) - 1));
  }

  @ParameterizedTest
  @ValueSource(ints = {8, 16})
  void transparentColor_isWhite(int bits) throws IOException {
    byte[] row = new byte[1 + 6 * bits / 8];
    row[row.length - 1] = 9;
    byte[] png = png(bits, 2, row, new byte[6]);

    byte[] pixels = ImageDecoder.decode(png, new ImageShape(2, 2, 3)).pixels();

    assertThat(Arrays.copyOf(pixels, 5)).containsExactly(-1, -1, -1, 0, 0);
  }

  @Test
  void damagedPng_isRefusedByItsChecksum() throws IOException {
    byte[] png = encode(quadrants(), "png");
    png[png.length - 20] ^= 1;

    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(png, SQUARE))
        .withMessageContainingAll("checksum", "IDAT");
  }

  @Test
  void labTiff_isNamed() throws IOException {
    byte[] tiff = withTag(encode(quadrants(), "tif"), 262, 8);

    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(tiff, SQUARE))
        .withMessageContainingAll("Lab", "convert it to PNG");
  }

  /** The JDK's reader refuses them. */
  @Test
  void tiffOf16Bits_withAPredictor_isDecoded() throws IOException {
    ByteBuffer tiff = ByteBuffer.allocate(8 + 2 + 10 * 12 + 4 + 8 * 16).order(ByteOrder.BIG_ENDIAN);
    tiff.put(new byte[] {'M', 'M', 0, 42}).putInt(8).putShort((short) 10);
    int data = 8 + 2 + 10 * 12 + 4;
    // Width, height, bits, deflate, grey, strip, samples, rows, bytes, predictor.
    byte[] rows = new byte[8 * 16];
    for (int i = 0; i < 8; i++) {
      rows[16 * i] = 50; // the first sample of a row is 50 * 257, the others differ by 0
      rows[16 * i + 1] = 50;
    }
    byte[] packed = deflate(rows);
    int[][] tags = {
      {256, 8},
      {257, 8},
      {258, 16},
      {259, 8},
      {262, 1},
      {273, data},
      {277, 1},
      {278, 8},
      {279, packed.length},
      {317, 2}
    };
    for (int[] tag : tags) {
      tiff.putShort((short) tag[0]).putShort((short) 4).putInt(1).putInt(tag[1]);
    }
    tiff.putInt(0).put(packed);

    assertThat(ImageDecoder.decode(tiff.array(), new ImageShape(1, 1, 1)).pixels())
        .containsOnly(50);
  }

  @ParameterizedTest
  @CsvSource({
    "0000000C6A5020200D0A870A, JPEG 2000",
    "FF4FFF51002F, JPEG 2000",
    "FF0A0000, JPEG XL",
    "0000000C4A584C200D0A870A, JPEG XL",
    "0000001C6674797061766966, AVIF",
    "000000186674797068656963, HEIC",
    "0000001866747970637278200000, camera raw",
    "0000001866747970697363360000, video",
    "384250530001, Photoshop",
    "762F3101, OpenEXR",
    "255044462D, PDF",
    "49492B000800, BigTIFF",
    "504B030414, zip",
    "000000000000, zero bytes"
  })
  void otherFormats_areNamed(String hex, String name) {
    byte[] file = HexFormat.of().parseHex(hex);

    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(file, SQUARE))
        .withMessageContaining(name)
        .withMessageContaining(";");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "<!DOCTYPE html><html><body>404</body></html> | HTML",
        "version https://git-lfs.github.com/spec/v1 | git lfs pull",
        "<?xml version=\"1.0\"?><svg width=\"1\"/> | SVG",
        "{\"error\": \"quota exceeded\"} | quota exceeded",
        "P6 2 2 255 | PNM"
      })
  void texts_areNamed(String text, String name) {
    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(text.getBytes(StandardCharsets.UTF_8), SQUARE))
        .withMessageContaining(name);
  }

  @Test
  void emptyFile_isNamed() {
    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(new byte[0], SQUARE))
        .withMessageContaining("empty");
  }

  /** 16 x 16: red, green, blue and white at the corners. */
  private static BufferedImage quadrants() {
    BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_3BYTE_BGR);
    for (int i = 0; i < 256; i++) {
      int x = i % 16;
      int y = i / 16;
      image.setRGB(x, y, y < 8 ? x < 8 ? 0xFF0000 : 0x00FF00 : x < 8 ? 0x0000FF : 0xFFFFFF);
    }
    return image;
  }

  private static String corners(byte[] file) throws IOException {
    Bitmap bitmap = ImageDecoder.decode(file, new ImageShape(16, 16, 3));
    StringBuilder names = new StringBuilder();
    for (int at : new int[] {2 * 16 + 2, 2 * 16 + 13, 13 * 16 + 2, 13 * 16 + 13}) {
      boolean red = bitmap.pixels()[3 * at] < 0;
      boolean green = bitmap.pixels()[3 * at + 1] < 0;
      names.append(red ? green ? 'W' : 'R' : green ? 'G' : 'B');
    }
    return names.toString();
  }

  /** RGB of the first and the last pixel of the first row. */
  private static int[] leftAndRight(byte[] file) throws IOException {
    Bitmap bitmap = ImageDecoder.decode(file, SQUARE);
    int last = 3 * (bitmap.width() - 1);
    return IntStream.of(0, 1, 2, last, last + 1, last + 2)
        .map(i -> bitmap.pixels()[i] & 0xFF)
        .toArray();
  }

  private static byte[] webp(String base64) {
    return Base64.getDecoder().decode(base64);
  }

  private static int[] filled(int length, int value) {
    int[] values = new int[length];
    Arrays.fill(values, value);
    return values;
  }

  private static byte[] encode(BufferedImage image, String format) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, format, out)).isTrue();
    return out.toByteArray();
  }

  /** A JPEG of one color with the given components, which no marker explains. */
  private static byte[] rawJpeg(String ids, int... components) throws IOException {
    WritableRaster raster = Raster.createInterleavedRaster(0, 16, 16, components.length, null);
    for (int band = 0; band < components.length; band++) {
      raster.setSamples(0, 0, 16, 16, band, filled(256, components[band]));
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    var writers = ImageIO.getImageWritersByFormatName("jpeg");
    ImageWriter writer = writers.next();
    while (!writer.getClass().getName().startsWith("com.sun.")) {
      writer = writers.next();
    }
    try (ImageOutputStream stream = ImageIO.createImageOutputStream(out)) {
      writer.setOutput(stream);
      writer.write(new IIOImage(raster, null, null));
    } finally {
      writer.dispose();
    }
    byte[] jpeg = out.toByteArray();
    int frame = frameHeader(jpeg);
    int scan = find(jpeg, 0xDA, frame);
    String[] each = ids.split(" ", -1);
    for (int i = 0; i < each.length; i++) {
      jpeg[frame + 10 + 3 * i] = (byte) Integer.parseInt(each[i]);
      jpeg[scan + 5 + 2 * i] = (byte) Integer.parseInt(each[i]);
    }
    return jpeg;
  }

  private static int frameHeader(byte[] jpeg) {
    return find(jpeg, 0xC0, 0);
  }

  private static int find(byte[] jpeg, int marker, int from) {
    int at = from;
    while (jpeg[at] != (byte) 0xFF || jpeg[at + 1] != (byte) marker) {
      at++;
    }
    return at;
  }

  private static byte[] withAdobe(byte[] jpeg, int transform) {
    return withSegment(jpeg, 0xEE, "Adobe", new byte[] {0, 100, 0, 0, 0, 0, (byte) transform});
  }

  private static byte[] withSegment(byte[] jpeg, int marker, String name, byte[] data) {
    byte[] start = name.getBytes(StandardCharsets.ISO_8859_1);
    int length = 2 + start.length + data.length;
    return ByteBuffer.allocate(jpeg.length + 2 + length)
        .put(jpeg, 0, 2)
        .put((byte) 0xFF)
        .put((byte) marker)
        .putShort((short) length)
        .put(start)
        .put(data)
        .put(jpeg, 2, jpeg.length - 2)
        .array();
  }

  /** Adds a chunk behind the header. */
  private static byte[] withChunk(byte[] png, String type, byte[] data) {
    int header = 8 + 25;
    return ByteBuffer.allocate(png.length + 12 + data.length)
        .put(png, 0, header)
        .put(chunk(type, data))
        .put(png, header, png.length - header)
        .array();
  }

  private static byte[] chunk(String type, byte[] data) {
    byte[] name = type.getBytes(StandardCharsets.ISO_8859_1);
    CRC32 checksum = new CRC32();
    checksum.update(name);
    checksum.update(data);
    return ByteBuffer.allocate(12 + data.length)
        .putInt(data.length)
        .put(name)
        .put(data)
        .putInt((int) checksum.getValue())
        .array();
  }

  /** A PNG of 2 x 2 pixels whose rows are alike and have a transparent color. */
  private static byte[] png(int bits, int colorType, byte[] row, byte[] transparent) {
    ByteBuffer header = ByteBuffer.allocate(13).putInt(2).putInt(2);
    header.put((byte) bits).put((byte) colorType);
    int rowBytes = 1 + (2 * bits * (colorType == 2 ? 3 : 1) + 7) / 8;
    byte[] rows =
        ByteBuffer.allocate(2 * rowBytes).put(row, 0, rowBytes).put(row, 0, rowBytes).array();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'});
    out.writeBytes(chunk("IHDR", header.array()));
    out.writeBytes(chunk("tRNS", transparent));
    out.writeBytes(chunk("IDAT", deflate(rows)));
    out.writeBytes(chunk("IEND", new byte[0]));
    return out.toByteArray();
  }

  private static byte[] iccp(byte[] profile) {
    byte[] packed = deflate(profile);
    return ByteBuffer.allocate(3 + packed.length).put((byte) 'p').position(3).put(packed).array();
  }

  private static byte[] deflate(byte[] bytes) {
    Deflater deflater = new Deflater();
    deflater.setInput(bytes);
    deflater.finish();
    byte[] packed = new byte[bytes.length + 100];
    int length = deflater.deflate(packed);
    deflater.end();
    return Arrays.copyOf(packed, length);
  }

  /** EXIF with the orientation only. */
  private static byte[] exif(int orientation, ByteOrder order) {
    ByteBuffer exif = ByteBuffer.allocate(26).order(order);
    exif.put(order == ByteOrder.BIG_ENDIAN ? new byte[] {'M', 'M'} : new byte[] {'I', 'I'});
    exif.putShort((short) 42).putInt(8).putShort((short) 1);
    exif.putShort((short) 274).putShort((short) 3).putInt(1).putShort((short) orientation);
    return exif.array();
  }

  /** Sets a tag of one short; the directory is written anew at the end. */
  private static byte[] withTag(byte[] tiff, int tag, int value) {
    return withEntry(tiff, tag, 3, 1, value, new byte[0]);
  }

  private static byte[] withProfile(byte[] tiff, byte[] profile) {
    return withEntry(tiff, 34675, 7, profile.length, tiff.length, profile);
  }

  private static byte[] withEntry(
      byte[] tiff, int tag, int type, int count, int value, byte[] data) {
    ByteOrder order = tiff[0] == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
    ByteBuffer in = ByteBuffer.wrap(tiff).order(order);
    int old = in.getInt(4);
    int entries = in.getShort(old);
    var sorted = new TreeMap<Integer, byte[]>();
    for (int i = 0; i < entries; i++) {
      int at = old + 2 + 12 * i;
      sorted.put(in.getShort(at) & 0xFFFF, Arrays.copyOfRange(tiff, at, at + 12));
    }
    ByteBuffer entry = ByteBuffer.allocate(12).order(order);
    entry.putShort((short) tag).putShort((short) type).putInt(count);
    if (type == 3) {
      entry.putShort((short) value);
    } else {
      entry.putInt(value);
    }
    sorted.put(tag, entry.array());
    int directory = tiff.length + data.length + (data.length & 1);
    ByteBuffer out = ByteBuffer.allocate(directory + 6 + 12 * sorted.size()).order(order);
    out.put(tiff).put(data).putInt(4, directory).position(directory);
    out.putShort((short) sorted.size());
    sorted.values().forEach(out::put);
    return out.array();
  }
}
