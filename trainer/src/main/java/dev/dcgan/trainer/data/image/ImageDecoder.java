package dev.dcgan.trainer.data.image;

import dev.dcgan.model.ImageShape;
import java.awt.Rectangle;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Decodes PNG, JPEG, GIF (its first picture), BMP and TIFF with the JDK's readers.
 *
 * <p>Pixels are taken as sRGB: colour profiles, gamma and EXIF's orientation are passed over.
 * Transparent pictures are laid on white. Samples of 16 bits are rounded to 8.
 */
public final class ImageDecoder {

  private static final long MAX_PIXELS = 100_000_000;
  // Of a large picture every k-th pixel is decoded, so many of them per pixel wanted, each way:
  // bounded memory, and still 64 to average.
  private static final int OVERSAMPLING = 8;
  private static final int WHITE = 255;

  private ImageDecoder() {}

  /**
   * Decodes the part of a picture that a network's shape takes, at least in its size where the
   * picture is that large.
   *
   * @throws IOException not a whole picture that can be read; the message says why, not which
   */
  public static Bitmap decode(byte[] file, ImageShape wanted) throws IOException {
    try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(file))) {
      Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw new IOException("its bytes are no PNG, JPEG, GIF, BMP or TIFF");
      }
      ImageReader reader = readers.next();
      try {
        return bitmap(read(reader, in, file, wanted));
      } catch (RuntimeException e) {
        // The JDK's readers answer some damage with whatever their arithmetic runs into.
        throw new IOException("it is damaged (" + e + ")", e);
      } finally {
        reader.dispose();
      }
    }
  }

  private static BufferedImage read(
      ImageReader reader, ImageInputStream in, byte[] file, ImageShape wanted) throws IOException {
    AtomicBoolean cut = new AtomicBoolean(isCutBmp(file));
    // The JPEG reader fills in for data that is missing, and only warns.
    reader.addIIOReadWarningListener(
        (source, warning) -> {
          if (warning.contains("premature end")) {
            cut.set(true);
          }
        });
    reader.setInput(in, true, true);
    int width = reader.getWidth(0);
    int height = reader.getHeight(0);
    if ((long) width * height > MAX_PIXELS) {
      throw new IOException(
          "it has %d x %d pixels; expected at most %d megapixels"
              .formatted(width, height, MAX_PIXELS / 1_000_000));
    }
    Bitmap.Part part = Bitmap.Part.of(width, height, wanted);
    int every =
        Math.max(
            1,
            Math.min(
                part.width() / (OVERSAMPLING * wanted.width()),
                part.height() / (OVERSAMPLING * wanted.height())));
    ImageReadParam parameters = reader.getDefaultReadParam();
    parameters.setSourceRegion(new Rectangle(part.x(), part.y(), part.width(), part.height()));
    parameters.setSourceSubsampling(every, every, 0, 0);
    BufferedImage image = reader.read(0, parameters);
    if (cut.get()) {
      throw new IOException("it is truncated");
    }
    return image;
  }

  /** The BMP reader takes missing rows for black; the header has the file's size, or 0. */
  private static boolean isCutBmp(byte[] file) {
    return file.length >= 6
        && file[0] == 'B'
        && file[1] == 'M'
        && ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(2) > file.length;
  }

  private static Bitmap bitmap(BufferedImage image) throws IOException {
    ColorModel colours = image.getColorModel();
    if (!(colours instanceof ComponentColorModel)) {
      return packed(image, colours instanceof IndexColorModel palette && isGrey(palette));
    }
    // Not through getRGB: it would turn grey into another grey, by a gamma, and apply profiles.
    int type = colours.getColorSpace().getType();
    int channels = colours.getNumColorComponents();
    int transfer = colours.getTransferType();
    if ((type != ColorSpace.TYPE_GRAY || channels != 1)
        && (type != ColorSpace.TYPE_RGB || channels != 3)) {
      throw new IOException(
          "it has %d colour components; expected grey or RGB".formatted(channels));
    }
    if (transfer != DataBuffer.TYPE_BYTE && transfer != DataBuffer.TYPE_USHORT) {
      throw new IOException("its samples are not of 8 or 16 bits, unsigned");
    }
    return components(image, channels);
  }

  private static Bitmap components(BufferedImage image, int channels) {
    int width = image.getWidth();
    int height = image.getHeight();
    Raster raster = image.getRaster();
    ColorModel colours = image.getColorModel();
    int bands = raster.getNumBands();
    int bits = colours.getComponentSize(0);
    int full = (1 << bits) - 1;
    byte[] pixels = new byte[width * height * channels];
    int[] row = new int[width * bands];
    for (int y = 0; y < height; y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
      for (int x = 0; x < width; x++) {
        int alpha = colours.hasAlpha() ? eight(row[x * bands + channels], full) : WHITE;
        for (int channel = 0; channel < channels; channel++) {
          int value = eight(row[x * bands + channel], full);
          pixels[(y * width + x) * channels + channel] =
              onWhite(value, alpha, colours.isAlphaPremultiplied());
        }
      }
    }
    return new Bitmap(width, height, channels, pixels);
  }

  private static Bitmap packed(BufferedImage image, boolean grey) {
    int width = image.getWidth();
    int height = image.getHeight();
    int channels = grey ? 1 : 3;
    byte[] pixels = new byte[width * height * channels];
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      image.getRGB(0, y, width, 1, row, 0, width); // ARGB, not premultiplied
      for (int x = 0; x < width; x++) {
        for (int channel = 0; channel < channels; channel++) {
          int value = row[x] >> (16 - 8 * channel) & 0xFF;
          pixels[(y * width + x) * channels + channel] = onWhite(value, row[x] >>> 24, false);
        }
      }
    }
    return new Bitmap(width, height, channels, pixels);
  }

  private static boolean isGrey(IndexColorModel palette) {
    return IntStream.range(0, palette.getMapSize())
        .allMatch(
            i ->
                palette.getRed(i) == palette.getGreen(i)
                    && palette.getRed(i) == palette.getBlue(i));
  }

  private static int eight(int sample, int full) {
    return full == 0xFF ? sample : (sample * 0xFF + full / 2) / full;
  }

  private static byte onWhite(int value, int alpha, boolean premultiplied) {
    int own = premultiplied ? value : (value * alpha + WHITE / 2) / WHITE;
    return (byte) Math.min(WHITE, own + WHITE - alpha);
  }
}
