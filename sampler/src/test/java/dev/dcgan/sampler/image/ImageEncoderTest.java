package dev.dcgan.sampler.image;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.model.ImageShape;
import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

class ImageEncoderTest {

  private final Random random = new Random(1);

  @Test
  void png_ofAnyShapeAndContent_isReadBackByImageIo() throws IOException {
    for (int i = 0; i < 300; i++) {
      ImageShape shape = shape(1 + random.nextInt(70), 1 + random.nextInt(70));
      int offset = random.nextInt(10);
      byte[] pixels = pixels(offset + shape.values(), random.nextInt(3));

      byte[] png = ImageEncoder.png(shape, pixels, offset);

      byte[] expected = Arrays.copyOfRange(pixels, offset, offset + shape.values());
      assertThat(decode(png, shape)).as("%s", shape).isEqualTo(expected);
      assertThat((long) png.length).isLessThanOrEqualTo(ImageEncoder.maxPngBytes(shape));
    }
  }

  @Test
  void png_ofNoise_staysWithinItsBound() {
    for (int side : new int[] {1, 28, 64, 128, 512, 1024}) {
      ImageShape shape = new ImageShape(side, side, 3);
      byte[] png = ImageEncoder.png(shape, pixels(shape.values(), 2), 0);
      assertThat((long) png.length)
          .isBetween((long) shape.values(), ImageEncoder.maxPngBytes(shape));
    }
  }

  @Test
  void sheet_isFiveWideOnWhite_withEveryImageInItsPlace() throws IOException {
    ImageShape shape = new ImageShape(6, 4, 3);
    int count = 12;
    byte[] pixels = pixels(count * shape.values(), 2);

    byte[] png = ImageEncoder.sheet(shape, pixels, count, 5);

    ImageShape sheet = new ImageShape(2 + 3 * (6 + 2), 2 + 5 * (4 + 2), 3);
    byte[] expected = new byte[sheet.values()];
    Arrays.fill(expected, (byte) 255);
    for (int i = 0; i < count; i++) {
      for (int y = 0; y < 6; y++) {
        for (int x = 0; x < 4 * 3; x++) {
          int row = 2 + i / 5 * 8 + y;
          int column = (2 + i % 5 * 6) * 3 + x;
          expected[row * sheet.width() * 3 + column] = pixels[i * shape.values() + y * 12 + x];
        }
      }
    }
    assertThat(decode(png, sheet)).isEqualTo(expected);
    assertThat((long) png.length).isLessThanOrEqualTo(ImageEncoder.maxSheetBytes(shape, count, 5));
  }

  @Test
  void sheet_ofFewImages_isNoWiderThanThey() throws IOException {
    ImageShape shape = new ImageShape(5, 5, 1);
    byte[] png = ImageEncoder.sheet(shape, new byte[2 * 25], 2, 5);
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(png));
    assertThat(image.getWidth()).isEqualTo(2 + 2 * 7);
    assertThat(image.getHeight()).isEqualTo(2 + 7);
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

  private ImageShape shape(int height, int width) {
    return new ImageShape(height, width, random.nextBoolean() ? 1 : 3);
  }

  /** Flat, a few values, or noise. */
  private byte[] pixels(int size, int kind) {
    byte[] pixels = new byte[size];
    if (kind == 0) {
      Arrays.fill(pixels, (byte) random.nextInt(256));
    } else {
      random.nextBytes(pixels);
    }
    for (int i = 0; i < size && kind == 1; i++) {
      pixels[i] &= (byte) 0xC0;
    }
    return pixels;
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
}
