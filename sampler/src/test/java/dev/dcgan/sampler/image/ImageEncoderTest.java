package dev.dcgan.sampler.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.dcgan.model.ImageShape;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageEncoderTest {

  private final Random random = new Random(1);

  @Test
  void png_ofAnyShapeAndContent_isDecodedByImageIo() throws IOException {
    for (int[] side : new int[][] {{1, 1}, {1, 300}, {200, 1}, {2, 3}, {28, 28}, {64, 64}}) {
      for (Content content : Content.values()) {
        checkPng(new ImageShape(side[0], side[1], 1), content);
        checkPng(new ImageShape(side[0], side[1], 3), content);
      }
    }
    for (int i = 0; i < 400; i++) {
      int height = 1 + random.nextInt(1 + random.nextInt(200));
      int width = 1 + random.nextInt(1 + random.nextInt(300));
      int channels = random.nextBoolean() ? 1 : 3;
      checkPng(new ImageShape(height, width, channels), Content.values()[i % 6]);
    }
  }

  private void checkPng(ImageShape shape, Content content) throws IOException {
    int offset = random.nextInt(10);
    byte[] pixels = new byte[offset + shape.values() + random.nextInt(10)];
    random.nextBytes(pixels);
    byte[] expected = content.draw(shape, random);
    System.arraycopy(expected, 0, pixels, offset, shape.values());

    byte[] png = ImageEncoder.png(shape, pixels, offset);

    assertThat(decode(png, shape)).as("%s, %s", shape, content).isEqualTo(expected);
    assertThat((long) png.length)
        .as("%s, %s", shape, content)
        .isLessThanOrEqualTo(ImageEncoder.maxPngBytes(shape, 1));
  }

  /** ImageIO does not check them. */
  @Test
  void png_hasTheChecksumsOfItsChunks() {
    ImageShape shape = new ImageShape(28, 28, 1);
    ByteBuffer png =
        ByteBuffer.wrap(ImageEncoder.png(shape, Content.DRAWING.draw(shape, random), 0));
    assertThat(png.getLong()).isEqualTo(0x89504E470D0A1A0AL);
    List<String> types = new ArrayList<>();
    while (png.hasRemaining()) {
      byte[] typeAndData = new byte[4 + png.getInt()];
      png.get(typeAndData);
      CRC32 crc = new CRC32();
      crc.update(typeAndData);
      assertThat(png.getInt()).isEqualTo((int) crc.getValue());
      types.add(new String(typeAndData, 0, 4, StandardCharsets.US_ASCII));
    }
    assertThat(types).containsExactly("IHDR", "IDAT", "IEND");
  }

  @Test
  void png_ofNoise_staysWithinItsBound() {
    for (int side : new int[] {1, 28, 64, 128, 512, 1024}) {
      ImageShape shape = new ImageShape(side, side, 3);
      byte[] png = ImageEncoder.png(shape, Content.NOISE.draw(shape, random), 0);
      assertThat((long) png.length)
          .isBetween((long) shape.values(), ImageEncoder.maxPngBytes(shape, 1));
    }
  }

  @Test
  void png_ofOneColour_isSmall() {
    ImageShape shape = new ImageShape(64, 64, 3);
    assertThat(ImageEncoder.png(shape, new byte[shape.values()], 0)).hasSizeLessThan(200);
  }

  @ParameterizedTest
  @CsvSource({"12, 5", "12, 1", "12, 12", "12, 11", "3, 5", "1, 1", "10, 5", "7, 2147483647"})
  void sheet_hasEveryImageInItsPlaceOnWhite(int count, int columns) throws IOException {
    ImageShape shape = new ImageShape(6, 4, 3);
    byte[] pixels = Content.NOISE.draw(new ImageShape(count * 6, 4, 3), random);

    byte[] png = ImageEncoder.sheet(shape, pixels, count, columns, 1);

    int wide = Math.min(count, columns);
    int high = (count + wide - 1) / wide;
    ImageShape sheet = new ImageShape(2 + high * (6 + 2), 2 + wide * (4 + 2), 3);
    byte[] expected = new byte[sheet.values()];
    Arrays.fill(expected, (byte) 255);
    for (int i = 0; i < count; i++) {
      for (int y = 0; y < 6; y++) {
        for (int x = 0; x < 4 * 3; x++) {
          int row = 2 + i / wide * 8 + y;
          int column = (2 + i % wide * 6) * 3 + x;
          expected[row * sheet.width() * 3 + column] = pixels[i * shape.values() + y * 12 + x];
        }
      }
    }
    assertThat(decode(png, sheet)).isEqualTo(expected);
    assertThat((long) png.length)
        .isLessThanOrEqualTo(ImageEncoder.maxSheetBytes(shape, count, columns, 1));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 7, 16})
  void png_enlarged_repeatsEachPixel_withinItsBound(int scale) throws IOException {
    for (int[] side : new int[][] {{1, 1}, {1, 250}, {200, 1}, {2, 3}, {28, 28}, {64, 64}}) {
      for (int channels : new int[] {1, 3}) {
        for (Content content : Content.values()) {
          ImageShape shape = new ImageShape(side[0], side[1], channels);
          byte[] pixels = content.draw(shape, random);
          byte[] png = ImageEncoder.png(shape, pixels, 0, scale);
          assertThat(decode(png, new ImageShape(side[0] * scale, side[1] * scale, channels)))
              .as("%s, %s", shape, content)
              .isEqualTo(enlarged(pixels, shape, scale));
          assertThat((long) png.length)
              .as("%s, %s", shape, content)
              .isLessThanOrEqualTo(ImageEncoder.maxPngBytes(shape, scale));
        }
      }
    }
  }

  @Test
  void sheet_enlarged_enlargesTheGapsToo() throws IOException {
    ImageShape shape = new ImageShape(6, 4, 3);
    byte[] pixels = Content.NOISE.draw(new ImageShape(7 * 6, 4, 3), random);
    ImageShape sheet = new ImageShape(2 + 2 * 8, 2 + 5 * 6, 3);
    byte[] plain = decode(ImageEncoder.sheet(shape, pixels, 7, 5, 1), sheet);
    assertThat(
            decode(
                ImageEncoder.sheet(shape, pixels, 7, 5, 4),
                new ImageShape(4 * sheet.height(), 4 * sheet.width(), 3)))
        .isEqualTo(enlarged(plain, sheet, 4));
  }

  private static byte[] enlarged(byte[] pixels, ImageShape shape, int scale) {
    int channels = shape.channels();
    byte[] large = new byte[pixels.length * scale * scale];
    for (int i = 0; i < large.length; i++) {
      int x = i / channels % (shape.width() * scale) / scale;
      int y = i / channels / (shape.width() * scale) / scale;
      large[i] = pixels[(y * shape.width() + x) * channels + i % channels];
    }
    return large;
  }

  @Test
  void sheet_withoutColumns_isRejected() {
    ImageShape shape = new ImageShape(1, 1, 1);
    assertThatThrownBy(() -> ImageEncoder.sheet(shape, new byte[1], 1, 0, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("0 columns", "1 or more");
  }

  @Test
  void channelsLast_movesWholeFloats() {
    ImageShape shape = new ImageShape(1, 2, 3);
    // Two images, each (c, w): r0 r1, g0 g1, b0 b1.
    byte[] floats = bytes(0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15);
    assertThat(ImageEncoder.channelsLast(shape, floats))
        .isEqualTo(bytes(0, 2, 4, 1, 3, 5, 10, 12, 14, 11, 13, 15));
  }

  @Test
  void channelsLast_ofGrey_isTheSameArray() {
    byte[] floats = bytes(1, 2, 3, 4);
    assertThat(ImageEncoder.channelsLast(new ImageShape(2, 2, 1), floats)).isSameAs(floats);
  }

  private static byte[] decode(byte[] png, ImageShape shape) throws IOException {
    Raster raster = ImageIO.read(new ByteArrayInputStream(png)).getRaster();
    assertThat(raster.getHeight()).isEqualTo(shape.height());
    assertThat(raster.getWidth()).isEqualTo(shape.width());
    assertThat(raster.getNumBands()).isEqualTo(shape.channels());
    int[] values = raster.getPixels(0, 0, shape.width(), shape.height(), (int[]) null);
    byte[] pixels = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      pixels[i] = (byte) values[i];
    }
    return pixels;
  }

  private static byte[] bytes(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  private enum Content {
    FLAT,
    BANDS,
    GRADIENT,
    PHOTOGRAPH,
    DRAWING,
    NOISE;

    /** Uint8 (h, w, c). */
    byte[] draw(ImageShape shape, Random random) {
      byte[] pixels = new byte[shape.values()];
      int flat = random.nextInt(256);
      int slope = 1 + random.nextInt(4);
      for (int i = 0; i < pixels.length; i++) {
        int x = i / shape.channels() % shape.width();
        int y = i / shape.channels() / shape.width();
        int channel = i % shape.channels();
        pixels[i] =
            (byte)
                switch (this) {
                  case FLAT -> flat;
                  case BANDS -> y / 3 * 50;
                  case GRADIENT -> x * slope + y + channel * 40;
                  case PHOTOGRAPH ->
                      128 + 100 * Math.sin((x + slope * y) / 20.0 + channel) + random.nextInt(6);
                  case DRAWING -> Math.hypot(x - 14, y - 14) < 10 ? 255 - random.nextInt(9) : 0;
                  case NOISE -> random.nextInt(256);
                };
      }
      return pixels;
    }
  }
}
