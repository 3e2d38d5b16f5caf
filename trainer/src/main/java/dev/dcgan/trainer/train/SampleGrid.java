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

/** Pictures in a grid five wide, for the eye. */
public final class SampleGrid {

  private static final int COLUMNS = 5;
  private static final int SCALE = 3;
  private static final int GAP = 6;
  private static final Color PAPER = new Color(0x20, 0x24, 0x2C);

  private SampleGrid() {}

  /**
   * A finished grid.
   *
   * @param png the whole file
   * @param width of the picture, pixels
   * @param height of the picture, pixels
   */
  @SuppressWarnings("ArrayRecordComponent") // Passed from hand to hand, never compared.
  public record Png(byte[] png, int width, int height) {

    /** Writes the file, whole or not at all. */
    public void write(Path file) throws IOException {
      AtomicFiles.replace(file, ByteBuffer.wrap(png));
    }
  }

  /** One grid, each picture enlarged threefold. */
  public static Png of(ImageShape shape, List<byte[]> pictures) {
    return png(grid(shape, pictures));
  }

  /** Two grids side by side. */
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

  private static BufferedImage grid(ImageShape shape, List<byte[]> pictures) {
    int columns = Math.min(COLUMNS, pictures.size());
    int rows = (pictures.size() + COLUMNS - 1) / COLUMNS;
    int width = shape.width() * SCALE;
    int height = shape.height() * SCALE;
    BufferedImage grid = canvas(columns * (width + GAP) + GAP, rows * (height + GAP) + GAP);
    Graphics2D graphics = grid.createGraphics();
    for (int i = 0; i < pictures.size(); i++) {
      int x = GAP + i % COLUMNS * (width + GAP);
      int y = GAP + i / COLUMNS * (height + GAP);
      graphics.drawImage(picture(shape, pictures.get(i)), x, y, width, height, null);
    }
    graphics.dispose();
    return grid;
  }

  private static BufferedImage canvas(int width, int height) {
    BufferedImage canvas = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = canvas.createGraphics();
    graphics.setColor(PAPER);
    graphics.fillRect(0, 0, width, height);
    graphics.dispose();
    return canvas;
  }

  private static BufferedImage picture(ImageShape shape, byte[] pixels) {
    BufferedImage picture =
        new BufferedImage(shape.width(), shape.height(), BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < shape.height() * shape.width(); i++) {
      int rgb = 0;
      for (int c = 0; c < 3; c++) {
        int level = pixels[i * shape.channels() + Math.min(c, shape.channels() - 1)] & 0xFF;
        rgb = rgb << 8 | level;
      }
      picture.setRGB(i % shape.width(), i / shape.width(), rgb);
    }
    return picture;
  }

  private static Png png(BufferedImage image) {
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    try {
      ImageIO.write(image, "png", png);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return new Png(png.toByteArray(), image.getWidth(), image.getHeight());
  }
}
