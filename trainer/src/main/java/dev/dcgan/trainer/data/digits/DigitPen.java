package dev.dcgan.trainer.data.digits;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Path2D;
import java.awt.geom.Point2D;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.util.ArrayList;
import java.util.List;

/**
 * Draws one digit, white on black: an oval nib along the lines of {@link Handwriting}.
 *
 * <p>No step uses a font or a platform's mathematics, so a JVM draws the same bytes every time.
 */
final class DigitPen {

  static final int SIDE = 28;

  private static final int NIB_CORNERS = 8;

  private final RandomDraws draws;

  private DigitPen(RandomDraws draws) {
    this.draws = draws;
  }

  /** Draws the digit: 28 x 28 grey pixels. */
  static byte[] draw(int digit, RandomDraws draws) {
    DigitPen pen = new DigitPen(draws);
    double width = Math.max(1.4, draws.around(2.85, 0.6)); // pixels
    List<List<Point2D.Double>> lines = Handwriting.of(digit, width, draws);
    byte[] pixels = render(pen.inked(lines, width));
    pen.grain(pixels);
    return pixels;
  }

  /** The area that the nib covers on its way, pressed now more, now less. */
  private Path2D inked(List<List<Point2D.Double>> lines, double width) {
    List<Point2D.Double> nib = nib(width);
    double press = draws.uniform(0, 0.16);
    double pressAt = draws.uniform(0, 2 * Math.PI);
    // Prints overlap and all turn the same way round: non-zero winding is their union.
    Path2D.Double ink = new Path2D.Double(Path2D.WIND_NON_ZERO);
    for (List<Point2D.Double> line : lines) {
      for (int i = 0; i < line.size(); i++) {
        print(nib, line.get(i), 1 + press * StrictMath.sin(0.25 * i + pressAt), ink);
      }
    }
    return ink;
  }

  private static void print(
      List<Point2D.Double> nib, Point2D.Double at, double size, Path2D.Double ink) {
    ink.moveTo(at.x + size * nib.get(0).x, at.y + size * nib.get(0).y);
    for (Point2D.Double corner : nib.subList(1, nib.size())) {
      ink.lineTo(at.x + size * corner.x, at.y + size * corner.y);
    }
    ink.closePath();
  }

  /** The corners of an oval around (0, 0), held at some angle. */
  private List<Point2D.Double> nib(double width) {
    double flat = draws.uniform(0.72, 1);
    double angle = draws.uniform(0, Math.PI);
    List<Point2D.Double> corners = new ArrayList<>();
    for (int i = 0; i < NIB_CORNERS; i++) {
      double a = 2 * Math.PI * i / NIB_CORNERS;
      double u = StrictMath.cos(a) * width / 2;
      double v = StrictMath.sin(a) * width / 2 * flat;
      corners.add(
          new Point2D.Double(
              u * StrictMath.cos(angle) - v * StrictMath.sin(angle),
              u * StrictMath.sin(angle) + v * StrictMath.cos(angle)));
    }
    return corners;
  }

  private static byte[] render(Path2D ink) {
    BufferedImage image = new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_BYTE_GRAY);
    Graphics2D graphics = image.createGraphics();
    try {
      graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
      graphics.setRenderingHint(
          RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
      graphics.setColor(Color.WHITE);
      graphics.fill(ink);
    } finally {
      graphics.dispose();
    }
    return ((DataBufferByte) image.getRaster().getDataBuffer()).getData();
  }

  /** Paper and scanner: the ink is not evenly black, the paper around it stays clean. */
  private void grain(byte[] pixels) {
    for (int i = 0; i < pixels.length; i++) {
      int ink = pixels[i] & 0xFF;
      if (ink != 0) {
        double grain = draws.uniform(-8, 8);
        pixels[i] = (byte) Math.max(0, Math.min(255, StrictMath.rint(ink + grain)));
      }
    }
  }
}
