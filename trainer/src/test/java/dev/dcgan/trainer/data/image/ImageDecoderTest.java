package dev.dcgan.trainer.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.dcgan.model.ImageShape;
import java.awt.image.BufferedImage;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ImageDecoderTest {

  // Images that are a GIF too are 8 high: the JDK's reader loses rows of those below 5.

  private static final ImageShape GREY = new ImageShape(2, 2, 1);
  private static final ImageShape COLOR = new ImageShape(2, 2, 3);

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tif", "gif"})
  void color_comesAsItWasWritten(String format) throws IOException {
    BufferedImage image = new BufferedImage(2, 8, BufferedImage.TYPE_3BYTE_BGR);
    image.setRGB(0, 0, 0x0A141E);
    image.setRGB(1, 0, 0xFF0000);
    image.setRGB(0, 1, 0x00FF00);
    image.setRGB(1, 1, 0x0000FF);

    Bitmap bitmap = ImageDecoder.decode(encode(image, format), new ImageShape(8, 2, 3));

    assertThat(bitmap.channels()).isEqualTo(3);
    assertThat(bitmap.pixels()).startsWith(10, 20, 30, -1, 0, 0, 0, -1, 0, 0, 0, -1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tif", "gif"})
  void grey_comesAsItWasWritten_withoutAGamma(String format) throws IOException {
    BufferedImage image = new BufferedImage(2, 8, BufferedImage.TYPE_BYTE_GRAY);
    image.getRaster().setSamples(0, 0, 2, 2, 0, new int[] {0, 50, 128, 255});

    Bitmap bitmap = ImageDecoder.decode(encode(image, format), new ImageShape(8, 2, 1));

    assertThat(bitmap.channels()).isEqualTo(1);
    assertThat(bitmap.pixels()).startsWith(0, 50, (byte) 128, (byte) 255);
  }

  @Test
  void jpeg_isGreyOrColor_asItWasWritten() throws IOException {
    BufferedImage red = new BufferedImage(16, 16, BufferedImage.TYPE_3BYTE_BGR);
    fill(red, 0xC00000);
    BufferedImage grey = new BufferedImage(16, 16, BufferedImage.TYPE_BYTE_GRAY);
    grey.getRaster().setSamples(0, 0, 16, 16, 0, filled(256, 100));

    Bitmap decodedRed = ImageDecoder.decode(encode(red, "jpg"), COLOR);
    Bitmap decodedGrey = ImageDecoder.decode(encode(grey, "jpg"), GREY);

    assertThat(decodedRed.channels()).isEqualTo(3);
    assertThat(decodedRed.pixels()[0] & 0xFF).isBetween(0xBD, 0xC3);
    assertThat(decodedRed.pixels()[1]).isBetween((byte) 0, (byte) 3);
    assertThat(decodedGrey.channels()).isEqualTo(1);
    assertThat(decodedGrey.pixels()).containsOnly(100);
  }

  @Test
  void sixteenBits_areRoundedToEight() throws IOException {
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_USHORT_GRAY);
    image.getRaster().setSamples(0, 0, 2, 2, 0, new int[] {0, 257 * 50, 257 * 50 + 200, 65535});

    assertThat(ImageDecoder.decode(encode(image, "png"), GREY).pixels())
        .containsExactly(0, 50, 51, (byte) 255);
  }

  @Test
  void transparency_isLaidOnWhite() throws IOException {
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x00FFFFFF & 0x123456); // wholly transparent
    image.setRGB(1, 0, 0xFF102030); // opaque
    image.setRGB(0, 1, 0x80000000); // half of black
    image.setRGB(1, 1, 0xFFFFFFFF);

    assertThat(ImageDecoder.decode(encode(image, "png"), COLOR).pixels())
        .containsExactly(-1, -1, -1, 16, 32, 48, 127, 127, 127, -1, -1, -1);
  }

  @Test
  void largeImages_areReadInPart_fromTheMiddle() throws IOException {
    BufferedImage image = new BufferedImage(300, 100, BufferedImage.TYPE_3BYTE_BGR);
    for (int y = 0; y < 100; y++) {
      for (int x = 100; x < 200; x++) {
        image.setRGB(x, y, x < 150 ? 0x646464 : 0xC8C8C8);
      }
    }

    Bitmap bitmap = ImageDecoder.decode(encode(image, "png"), COLOR);

    assertThat(bitmap.width()).isBetween(16, 32);
    assertThat(bitmap.height()).isEqualTo(bitmap.width());
    byte[] fitted = bitmap.fit(COLOR);
    assertThat(fitted[0] & 0xFF).isBetween(100, 120);
    assertThat(fitted[3] & 0xFF).isBetween(180, 200);
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "jpg", "gif", "bmp", "tif"})
  void truncatedImages_areRefused(String format) throws IOException {
    BufferedImage image = new BufferedImage(100, 100, BufferedImage.TYPE_3BYTE_BGR);
    for (int i = 0; i < 10_000; i++) {
      image.setRGB(i % 100, i / 100, i * 7919 * 31);
    }
    byte[] whole = encode(image, format);
    ImageShape shape = new ImageShape(100, 100, 3);

    assertThat(ImageDecoder.decode(whole, shape).width()).isEqualTo(100);
    for (int length : new int[] {whole.length * 9 / 10, whole.length / 2, 20, 3, 0}) {
      assertThatIOException()
          .as("%d of %d bytes", length, whole.length)
          .isThrownBy(() -> ImageDecoder.decode(Arrays.copyOf(whole, length), shape));
    }
  }

  @Test
  void something_thatIsNoImage_isRefused() {
    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode("<html>".getBytes(StandardCharsets.UTF_8), GREY))
        .withMessageContaining("HTML");
  }

  @Test
  void anImageOfTooManyPixels_isRefusedByItsHeader() throws IOException {
    byte[] png = encode(grey(1, 2, 3, 4), "png");
    // Width and height stand at 16 and 20, the header's checksum at 29.
    ByteBuffer header = ByteBuffer.wrap(png).putInt(16, 50_000).putInt(20, 50_000);
    CRC32 checksum = new CRC32();
    checksum.update(png, 12, 17);
    header.putInt(29, (int) checksum.getValue());

    assertThatIOException()
        .isThrownBy(() -> ImageDecoder.decode(png, GREY))
        .withMessageContainingAll("50000 x 50000", "100 megapixels");
  }

  private static BufferedImage grey(int... samples) {
    BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_BYTE_GRAY);
    WritableRaster raster = image.getRaster();
    raster.setSamples(0, 0, 2, 2, 0, samples);
    return image;
  }

  private static void fill(BufferedImage image, int rgb) {
    int area = image.getWidth() * image.getHeight();
    image.setRGB(0, 0, image.getWidth(), image.getHeight(), filled(area, rgb), 0, image.getWidth());
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
}
