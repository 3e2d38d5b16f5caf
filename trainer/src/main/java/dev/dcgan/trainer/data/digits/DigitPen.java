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
 * Draws one digit in white on black with an elliptical pen that follows the lines of {@link
 * Handwriting}.
 *
 * <p>It uses neither fonts nor platform-dependent mathematics, so the bytes are reproducible.
 */
final class DigitPen {

  /** The image's width and height in pixels. */
  static final int SIDE = 28;

  private static final int NIB_CORNERS = 8;

  private final PhiloxRandom random;

  private DigitPen(PhiloxRandom random) {
    this.random = random;
  }

  /** Draws a digit: uint8 (28, 28). */
  static byte[] draw(int digit, PhiloxRandom random) {
    DigitPen pen = new DigitPen(random);
    double width = Math.max(1.4, random.approximatelyNormal(2.85, 0.6)); // pixels
    List<List<Point2D.Double>> lines = Handwriting.of(digit, width, random);
    byte[] pixels = render(pen.inkedArea(lines, width));
    pen.addNoise(pixels);
    return pixels;
  }

  /** The area that the pen covers, with varying pressure. */
  private Path2D inkedArea(List<List<Point2D.Double>> lines, double width) {
    List<Point2D.Double> nib = nib(width);
    double pressure = random.uniform(0, 0.16);
    double pressurePhase = random.uniform(0, 2 * Math.PI);
    // The stamps overlap and have the same orientation: non-zero winding is their union.
    Path2D.Double ink = new Path2D.Double(Path2D.WIND_NON_ZERO);
    for (List<Point2D.Double> line : lines) {
      for (int i = 0; i < line.size(); i++) {
        stamp(nib, line.get(i), 1 + pressure * StrictMath.sin(0.25 * i + pressurePhase), ink);
      }
    }
    return ink;
  }

  private static void stamp(
      List<Point2D.Double> nib, Point2D.Double at, double size, Path2D.Double ink) {
    ink.moveTo(at.x + size * nib.get(0).x, at.y + size * nib.get(0).y);
    for (Point2D.Double corner : nib.subList(1, nib.size())) {
      ink.lineTo(at.x + size * corner.x, at.y + size * corner.y);
    }
    ink.closePath();
  }

  /** The corners of a randomly rotated ellipse around (0, 0). */
  private List<Point2D.Double> nib(double width) {
    double flat = random.uniform(0.72, 1);
    double angle = random.uniform(0, Math.PI);
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

  /** Adds noise to the ink as a scanner does; the background stays black. */
  private void addNoise(byte[] pixels) {
    for (int i = 0; i < pixels.length; i++) {
      int ink = pixels[i] & 0xFF;
      if (ink != 0) {
        double noise = random.uniform(-8, 8);
        pixels[i] = (byte) Math.max(0, Math.min(255, StrictMath.rint(ink + noise)));
      }
    }
  }
}
