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
 * Decodes PNG, JPEG, GIF (the first frame), BMP and TIFF with the JDK's readers.
 *
 * <p>Pixels are read as sRGB: color profiles, gamma and EXIF orientation are ignored. Transparent
 * images are blended with white. 16-bit samples are rounded to 8 bits.
 */
public final class ImageDecoder {

  private static final long MAX_PIXELS = 100_000_000;
  // Large images are subsampled while they are decoded, to at least so many pixels per target pixel
  // in each direction: memory is bounded, and 64 pixels remain to average.
  private static final int OVERSAMPLING = 8;
  private static final int WHITE = 255;

  private ImageDecoder() {}

  /**
   * Decodes the center crop that the target shape needs, at no less than the target's size unless
   * the image itself is smaller.
   *
   * @throws IOException if the image is incomplete or cannot be decoded; the message has the reason
   *     but not the location
   */
  public static Bitmap decode(byte[] file, ImageShape target) throws IOException {
    try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(file))) {
      Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw new IOException("it is not a PNG, JPEG, GIF, BMP or TIFF");
      }
      ImageReader reader = readers.next();
      try {
        return bitmap(read(reader, in, file, target));
      } catch (RuntimeException e) {
        // The JDK's readers throw arbitrary runtime exceptions for some damaged files.
        throw new IOException("it is damaged (" + e + ")", e);
      } finally {
        reader.dispose();
      }
    }
  }

  private static BufferedImage read(
      ImageReader reader, ImageInputStream in, byte[] file, ImageShape target) throws IOException {
    AtomicBoolean truncated = new AtomicBoolean(isTruncatedBmp(file));
    // The JPEG reader only warns about missing data, and fills it in.
    reader.addIIOReadWarningListener(
        (source, warning) -> {
          if (warning.contains("premature end")) {
            truncated.set(true);
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
    Bitmap.CropBox box = Bitmap.CropBox.of(width, height, target);
    int subsampling =
        Math.max(
            1,
            Math.min(
                box.width() / (OVERSAMPLING * target.width()),
                box.height() / (OVERSAMPLING * target.height())));
    ImageReadParam parameters = reader.getDefaultReadParam();
    parameters.setSourceRegion(new Rectangle(box.x(), box.y(), box.width(), box.height()));
    parameters.setSourceSubsampling(subsampling, subsampling, 0, 0);
    BufferedImage image = reader.read(0, parameters);
    if (truncated.get()) {
      throw new IOException("it is truncated");
    }
    return image;
  }

  /** The BMP reader returns missing rows as black; the header has the file's size, or 0. */
  private static boolean isTruncatedBmp(byte[] file) {
    return file.length >= 6
        && file[0] == 'B'
        && file[1] == 'M'
        && ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(2) > file.length;
  }

  private static Bitmap bitmap(BufferedImage image) throws IOException {
    ColorModel colors = image.getColorModel();
    if (!(colors instanceof ComponentColorModel)) {
      return packed(image, colors instanceof IndexColorModel palette && isGrey(palette));
    }
    // Not getRGB: it would apply a gamma to grey images, and color profiles.
    int type = colors.getColorSpace().getType();
    int channels = colors.getNumColorComponents();
    int transfer = colors.getTransferType();
    if ((type != ColorSpace.TYPE_GRAY || channels != 1)
        && (type != ColorSpace.TYPE_RGB || channels != 3)) {
      throw new IOException("it has %d color components; expected grey or RGB".formatted(channels));
    }
    if (transfer != DataBuffer.TYPE_BYTE && transfer != DataBuffer.TYPE_USHORT) {
      throw new IOException("its samples are not unsigned 8-bit or 16-bit integers");
    }
    return components(image, channels);
  }

  private static Bitmap components(BufferedImage image, int channels) {
    int width = image.getWidth();
    int height = image.getHeight();
    Raster raster = image.getRaster();
    ColorModel colors = image.getColorModel();
    int bands = raster.getNumBands();
    int bits = colors.getComponentSize(0);
    int full = (1 << bits) - 1;
    byte[] pixels = new byte[width * height * channels];
    int[] row = new int[width * bands];
    for (int y = 0; y < height; y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
      for (int x = 0; x < width; x++) {
        int alpha = colors.hasAlpha() ? to8Bits(row[x * bands + channels], full) : WHITE;
        for (int channel = 0; channel < channels; channel++) {
          int value = to8Bits(row[x * bands + channel], full);
          pixels[(y * width + x) * channels + channel] =
              onWhite(value, alpha, colors.isAlphaPremultiplied());
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

  private static int to8Bits(int sample, int full) {
    return full == 0xFF ? sample : (sample * 0xFF + full / 2) / full;
  }

  private static byte onWhite(int value, int alpha, boolean premultiplied) {
    int own = premultiplied ? value : (value * alpha + WHITE / 2) / WHITE;
    return (byte) Math.min(WHITE, own + WHITE - alpha);
  }
}
