package dev.dcgan.trainer.train;

import dev.dcgan.model.AtomicFiles;
import dev.dcgan.model.ImageShape;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Draws grids of sample images, five per row, as PNG. */
public final class SampleGrid {

  /** The images in a row. */
  static final int COLUMNS = 5;

  private static final int SCALE = 3;
  private static final int GAP = 6;
  private static final Color BACKGROUND = new Color(0x20, 0x24, 0x2C);

  private SampleGrid() {}

  /**
   * A grid as PNG.
   *
   * @param png the file's bytes
   * @param width pixels
   * @param height pixels
   */
  @SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
  public record Png(byte[] png, int width, int height) {

    /** Writes the file atomically. */
    public void write(Path file) throws IOException {
      AtomicFiles.replace(file, ByteBuffer.wrap(png));
    }
  }

  /** Draws a grid; each image is scaled up by 3. */
  public static Png of(ImageShape shape, List<byte[]> images) {
    return png(grid(shape, images));
  }

  /** Draws two grids side by side. */
  public static Png of(ImageShape shape, List<byte[]> left, List<byte[]> right) {
    BufferedImage first = grid(shape, left);
    BufferedImage second = grid(shape, right);
    BufferedImage both =
        canvas(
            first.getWidth() + 4 * GAP + second.getWidth(),
            Math.max(first.getHeight(), second.getHeight()));
    Graphics2D graphics = both.createGraphics();
    graphics.drawImage(first, 0, 0, null);
    graphics.drawImage(second, first.getWidth() + 4 * GAP, 0, null);
    graphics.dispose();
    return png(both);
  }

  private static BufferedImage grid(ImageShape shape, List<byte[]> images) {
    int columns = Math.min(COLUMNS, images.size());
    int rows = (images.size() + COLUMNS - 1) / COLUMNS;
    int width = shape.width() * SCALE;
    int height = shape.height() * SCALE;
    BufferedImage grid = canvas(columns * (width + GAP) + GAP, rows * (height + GAP) + GAP);
    Graphics2D graphics = grid.createGraphics();
    for (int i = 0; i < images.size(); i++) {
      int x = GAP + i % COLUMNS * (width + GAP);
      int y = GAP + i / COLUMNS * (height + GAP);
      graphics.drawImage(toBufferedImage(shape, images.get(i)), x, y, width, height, null);
    }
    graphics.dispose();
    return grid;
  }

  private static BufferedImage canvas(int width, int height) {
    BufferedImage canvas = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = canvas.createGraphics();
    graphics.setColor(BACKGROUND);
    graphics.fillRect(0, 0, width, height);
    graphics.dispose();
    return canvas;
  }

  private static BufferedImage toBufferedImage(ImageShape shape, byte[] pixels) {
    BufferedImage image =
        new BufferedImage(shape.width(), shape.height(), BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < shape.height() * shape.width(); i++) {
      int rgb = 0;
      for (int c = 0; c < 3; c++) {
        int level = pixels[i * shape.channels() + Math.min(c, shape.channels() - 1)] & 0xFF;
        rgb = rgb << 8 | level;
      }
      image.setRGB(i % shape.width(), i / shape.width(), rgb);
    }
    return image;
  }

  private static Png png(BufferedImage image) {
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    // ImageIO's own stream for memory would write a file in java.io.tmpdir, which may be full.
    try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(png)) {
      ImageIO.write(image, "png", out);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write to memory", e);
    }
    return new Png(png.toByteArray(), image.getWidth(), image.getHeight());
  }
}
