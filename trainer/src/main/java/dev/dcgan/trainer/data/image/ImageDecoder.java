package dev.dcgan.trainer.data.image;

import com.twelvemonkeys.imageio.plugins.tiff.TIFFImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.webp.WebPImageReaderSpi;
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
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Decodes PNG, JPEG, GIF and WebP (the first frame), BMP and TIFF; the content decides, not the
 * file's name. Thread-safe.
 *
 * <p>Images come upright, by their EXIF or TIFF orientation; damaged EXIF is ignored. Pixels are
 * sRGB: ICC profiles are applied alike in all formats ({@link ColorProfile}); the gamma and the
 * chromaticities of a PNG are ignored. Transparent images are blended with white. 16-bit samples
 * are rounded to 8 bits.
 */
public final class ImageDecoder {

  static {
    ImageIO.setUseCache(false); // no temporary files, in any reader
  }

  private static final long MAX_PIXELS = 100_000_000;
  private static final long MAX_UNSAMPLED_PIXELS = 25_000_000;
  // Large images are subsampled while they are decoded, to at least so many pixels per target pixel
  // in each direction: memory is bounded, and 64 pixels remain to average.
  private static final int OVERSAMPLING = 8;
  private static final int WHITE = 255;

  /** Reads the part of an image that the parameters choose. */
  private interface PartReader {

    Bitmap read(ImageReader reader, ImageReadParam parameters) throws IOException;
  }

  private ImageDecoder() {}

  /**
   * Decodes the center crop that the target shape needs, at no less than the target's size unless
   * the image itself is smaller.
   *
   * @throws IOException if the image is incomplete or cannot be decoded; the message has the reason
   *     and a remedy but not the location
   */
  public static Bitmap decode(byte[] file, ImageShape target) throws IOException {
    ImageFormat format = ImageFormat.of(file);
    try {
      return switch (format) {
        case PNG -> {
          PngFile png = PngFile.of(file);
          yield decode(
              jdkReader("png"),
              png.encoded(),
              target,
              (reader, part) -> pngPart(reader, part, png));
        }
        case JPEG -> {
          JpegFile jpeg = JpegFile.of(file);
          yield decode(
              jdkReader("jpeg"),
              jpeg.encoded(),
              target,
              (reader, part) -> jpegPart(reader, part, jpeg));
        }
        case WEBP ->
            decode(
                new WebPImageReaderSpi().createReaderInstance(),
                WebpFile.of(file).encoded(),
                target,
                ImageDecoder::part);
        case TIFF -> tiff(TiffTags.of(file), target);
        case GIF -> decode(jdkReader("gif"), plain(file), target, ImageDecoder::part);
        case BMP -> {
          requireWholeBmp(file);
          yield decode(jdkReader("bmp"), plain(file), target, ImageDecoder::part);
        }
      };
    } catch (EOFException e) {
      throw new IOException("it is truncated", e); // It has no message.
    } catch (RuntimeException e) {
      // The readers throw arbitrary runtime exceptions for some damaged files.
      throw new IOException("it is damaged (" + e + ")", e);
    }
  }

  private static EncodedImage plain(byte[] file) {
    return new EncodedImage(file, 1, null);
  }

  private static Bitmap tiff(TiffTags tags, ImageShape target) throws IOException {
    tags.requireReadable();
    EncodedImage image =
        new EncodedImage(tags.withoutProfile(), tags.orientation(), tags.profile());
    boolean alpha = tags.hasAlpha();
    if (!tags.isBeyondTheJdk()) {
      return decode(
          jdkReader("tiff"), image, target, (reader, part) -> bitmap(reader.read(0, part), alpha));
    }
    return decode(
        new TIFFImageReaderSpi().createReaderInstance(),
        image,
        target,
        (reader, part) -> {
          requireUnsampled(part.getSourceRegion());
          // This reader fails when it subsamples a part.
          part.setSourceSubsampling(1, 1, 0, 0);
          return bitmap(reader.read(0, part), alpha);
        });
  }

  private static void requireUnsampled(Rectangle part) throws IOException {
    if ((long) part.width * part.height > MAX_UNSAMPLED_PIXELS) {
      throw new IOException(
          "it is a TIFF of %d x %d pixels, which cannot be read in part; convert it to PNG"
              .formatted(part.width, part.height));
    }
  }

  /** The JDK's own reader, whichever others the class path has. */
  private static ImageReader jdkReader(String format) {
    for (Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format);
        readers.hasNext(); ) {
      ImageReader reader = readers.next();
      if (reader.getClass().getName().startsWith("com.sun.imageio.")) {
        return reader;
      }
    }
    throw new IllegalStateException("the JDK has no reader for " + format);
  }

  private static Bitmap decode(
      ImageReader reader, EncodedImage image, ImageShape target, PartReader partReader)
      throws IOException {
    AtomicBoolean truncated = new AtomicBoolean();
    // The JPEG reader only warns about missing data, and fills it in.
    reader.addIIOReadWarningListener(
        (source, warning) -> {
          if (warning.contains("premature end")) {
            truncated.set(true);
          }
        });
    try (ImageInputStream in =
        new MemoryCacheImageInputStream(new ByteArrayInputStream(image.file()))) {
      reader.setInput(in, true, true);
      ImageReadParam part = reader.getDefaultReadParam();
      choosePart(part, reader.getWidth(0), reader.getHeight(0), image.orientation(), target);
      Bitmap stored = partReader.read(reader, part);
      if (truncated.get()) {
        throw new IOException("it is truncated");
      }
      return ColorProfile.toSrgb(stored, image.profile()).upright(image.orientation());
    } finally {
      reader.dispose();
    }
  }

  /** Chooses the center crop and the subsampling in the upright image, and maps them back. */
  private static void choosePart(
      ImageReadParam part, int width, int height, int orientation, ImageShape target)
      throws IOException {
    if ((long) width * height > MAX_PIXELS) {
      throw new IOException(
          "it has %d x %d pixels; expected at most %d megapixels"
              .formatted(width, height, MAX_PIXELS / 1_000_000));
    }
    boolean transposed = Bitmap.isTransposed(orientation);
    Bitmap.CropBox upright =
        Bitmap.CropBox.of(transposed ? height : width, transposed ? width : height, target);
    int step =
        Math.max(
            1,
            Math.min(
                upright.width() / (OVERSAMPLING * target.width()),
                upright.height() / (OVERSAMPLING * target.height())));
    int x = transposed ? upright.y() : upright.x();
    int y = transposed ? upright.x() : upright.y();
    int w = transposed ? upright.height() : upright.width();
    int h = transposed ? upright.width() : upright.height();
    boolean mirrored = Bitmap.isMirrored(orientation);
    boolean flipped = Bitmap.isFlipped(orientation);
    part.setSourceRegion(
        new Rectangle(mirrored ? width - x - w : x, flipped ? height - y - h : y, w, h));
    // The same pixels as of the image stored upright: counted from where that one begins.
    part.setSourceSubsampling(
        step, step, mirrored ? (w - 1) % step : 0, flipped ? (h - 1) % step : 0);
  }

  /** The BMP reader returns missing rows as black; the header has the file's size, or 0. */
  private static void requireWholeBmp(byte[] file) throws IOException {
    if (file.length >= 6
        && ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(2) > file.length) {
      throw new IOException("it is truncated");
    }
  }

  private static Bitmap part(ImageReader reader, ImageReadParam part) throws IOException {
    return bitmap(reader.read(0, part), true);
  }

  private static Bitmap pngPart(ImageReader reader, ImageReadParam part, PngFile png)
      throws IOException {
    BufferedImage image = reader.read(0, part);
    Bitmap bitmap = bitmap(image, true);
    int[] transparent = png.transparent();
    if (transparent != null) {
      whiten(bitmap, image.getRaster(), transparent);
    }
    return bitmap;
  }

  /** Makes the pixels white whose samples are those of the transparent color. */
  private static void whiten(Bitmap bitmap, Raster raster, int[] transparent) {
    int channels = bitmap.channels();
    int[] samples = new int[raster.getNumBands()];
    for (int i = 0; i < bitmap.width() * bitmap.height(); i++) {
      raster.getPixel(i % bitmap.width(), i / bitmap.width(), samples);
      if (Arrays.equals(samples, transparent)) {
        Arrays.fill(bitmap.pixels(), i * channels, (i + 1) * channels, (byte) WHITE);
      }
    }
  }

  private static Bitmap jpegPart(ImageReader reader, ImageReadParam part, JpegFile jpeg)
      throws IOException {
    Raster raster = reader.readRaster(0, part);
    int channels = raster.getNumBands();
    int rowBytes = raster.getWidth() * channels;
    byte[] pixels = new byte[raster.getHeight() * rowBytes];
    int[] row = new int[rowBytes];
    for (int y = 0; y < raster.getHeight(); y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, raster.getWidth(), 1, row);
      for (int i = 0; i < rowBytes; i++) {
        pixels[y * rowBytes + i] = (byte) row[i];
      }
    }
    jpeg.convert(pixels);
    return new Bitmap(raster.getWidth(), raster.getHeight(), channels, pixels);
  }

  private static Bitmap bitmap(BufferedImage image, boolean alpha) throws IOException {
    ColorModel colors = image.getColorModel();
    if (!(colors instanceof ComponentColorModel)) {
      return packed(image, colors instanceof IndexColorModel palette && isGrey(palette));
    }
    // Not getRGB: it would apply a gamma to grey images, and color profiles.
    int type = colors.getColorSpace().getType();
    int channels = colors.getNumColorComponents();
    int transfer = colors.getTransferType();
    boolean known =
        switch (channels) {
          case 1 -> type == ColorSpace.TYPE_GRAY;
          case 3 -> type == ColorSpace.TYPE_RGB;
          case 4 -> type == ColorSpace.TYPE_CMYK;
          default -> false;
        };
    if (!known) {
      throw new IOException(
          "it has %d color components; expected grey, RGB or CMYK; convert it to PNG"
              .formatted(channels));
    }
    if (transfer != DataBuffer.TYPE_BYTE && transfer != DataBuffer.TYPE_USHORT) {
      throw new IOException(
          "its samples are not unsigned 8-bit or 16-bit integers; convert it to PNG");
    }
    return components(image, channels, alpha && colors.hasAlpha());
  }

  private static Bitmap components(BufferedImage image, int channels, boolean hasAlpha) {
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
        int alpha = hasAlpha ? to8Bits(row[x * bands + channels], full) : WHITE;
        for (int channel = 0; channel < channels; channel++) {
          int value = to8Bits(row[x * bands + channel], full);
          pixels[(y * width + x) * channels + channel] =
              onPaper(value, alpha, colors.isAlphaPremultiplied(), channels == 4 ? 0 : WHITE);
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
          pixels[(y * width + x) * channels + channel] =
              onPaper(value, row[x] >>> 24, false, WHITE);
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

  /** Blends with white, which in CMYK is no ink: {@code paper} is 0. */
  private static byte onPaper(int value, int alpha, boolean premultiplied, int paper) {
    int own = premultiplied ? value : (value * alpha + WHITE / 2) / WHITE;
    return (byte) Math.min(WHITE, own + (paper == 0 ? 0 : WHITE - alpha));
  }
}
