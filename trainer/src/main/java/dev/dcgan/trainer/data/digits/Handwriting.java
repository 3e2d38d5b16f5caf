package dev.dcgan.trainer.data.digits;

import dev.dcgan.trainer.data.digits.DigitStrokes.Point;
import java.awt.geom.AffineTransform;
import java.awt.geom.Point2D;
import java.awt.geom.Rectangle2D;
import java.util.ArrayList;
import java.util.List;

/**
 * The lines of one digit as one hand would write it, placed in the manner of MNIST: scaled to a box
 * of 20 x 20, its mass in the middle of 28 x 28.
 */
final class Handwriting {

  private static final double BOX = 20;
  // MNIST's centre of mass is the middle of pixel 14, counted from 0.
  private static final double CENTRE = 14.5;
  private static final double MARGIN = 1.5;
  private static final int STEPS = 10;
  // Of the pen's width: close enough that its prints run together.
  private static final double SPACING = 0.35;

  private final RandomDraws draws;

  private Handwriting(RandomDraws draws) {
    this.draws = draws;
  }

  /**
   * Writes a digit with a pen of the given width.
   *
   * @return for each stroke the points on its way, in pixels, evenly spaced
   */
  static List<List<Point2D.Double>> of(int digit, double width, RandomDraws draws) {
    Handwriting hand = new Handwriting(draws);
    return hand.fitted(hand.written(digit), width);
  }

  /** The strokes as lines of points in a unit box, in this hand's manner. */
  private List<List<Point2D.Double>> written(int digit) {
    double wave = draws.around(0, 0.03);
    double waveAt = draws.uniform(0, 2 * Math.PI);
    double swell = draws.around(0, 0.025);
    double swellAt = draws.uniform(0, 2 * Math.PI);
    AffineTransform hand = hand();
    List<List<Point2D.Double>> lines = new ArrayList<>();
    for (List<Point> stroke : DigitStrokes.of(digit, draws)) {
      List<Point2D.Double> line = smooth(stroke.stream().map(this::shaken).toList());
      for (Point2D.Double p : line) {
        double x = p.x + wave * StrictMath.sin(5 * p.y + waveAt);
        double y = p.y + swell * StrictMath.sin(5 * p.x + swellAt);
        p.setLocation(x, y);
        hand.transform(p, p);
      }
      lines.add(line);
    }
    return lines;
  }

  /** Narrow or wide, slanted, turned a little. */
  private AffineTransform hand() {
    double aspect = draws.around(0.94, 0.15);
    double slant = draws.around(0.15, 0.2);
    double turn = draws.around(0, 0.08);
    AffineTransform hand =
        new AffineTransform(
            StrictMath.cos(turn),
            StrictMath.sin(turn),
            -StrictMath.sin(turn),
            StrictMath.cos(turn),
            0,
            0);
    hand.shear(-slant, 0);
    hand.scale(aspect, 1);
    return hand;
  }

  private Point shaken(Point p) {
    return new Point(p.x() + draws.around(0, 0.036), p.y() + draws.around(0, 0.036), p.corner());
  }

  /** A curve through the points, Catmull-Rom between corners. */
  private static List<Point2D.Double> smooth(List<Point> points) {
    List<Point2D.Double> line = new ArrayList<>();
    int last = points.size() - 1;
    for (int i = 0; i < last; i++) {
      Point b = points.get(i);
      Point c = points.get(i + 1);
      Point a = i == 0 || b.corner() ? b : points.get(i - 1);
      Point d = i + 1 == last || c.corner() ? c : points.get(i + 2);
      for (int step = 0; step < STEPS; step++) {
        double t = (double) step / STEPS;
        line.add(
            new Point2D.Double(
                spline(a.x(), b.x(), c.x(), d.x(), t), spline(a.y(), b.y(), c.y(), d.y(), t)));
      }
    }
    line.add(new Point2D.Double(points.get(last).x(), points.get(last).y()));
    return line;
  }

  private static double spline(double a, double b, double c, double d, double t) {
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
  }

  /** The lines in pixels, scaled to the box and centred on the ink's mass; evenly spaced points. */
  private List<List<Point2D.Double>> fitted(List<List<Point2D.Double>> lines, double width) {
    Rectangle2D bounds = bounds(lines);
    double room = BOX * draws.uniform(0.92, 1.03) - width;
    double scale = room / Math.max(bounds.getWidth(), bounds.getHeight());
    List<List<Point2D.Double>> dots = new ArrayList<>();
    for (List<Point2D.Double> line : lines) {
      line.forEach(p -> p.setLocation(p.x * scale, p.y * scale));
      dots.add(evenly(line, SPACING * width));
    }
    Point2D.Double mass = mass(dots);
    Rectangle2D extent = bounds(dots);
    double edge = MARGIN + width / 2;
    double dx = CENTRE - mass.x + draws.uniform(-0.7, 0.7);
    double dy = CENTRE - mass.y + draws.uniform(-0.7, 0.7);
    double x = clamp(dx, edge - extent.getMinX(), DigitPen.SIDE - edge - extent.getMaxX());
    double y = clamp(dy, edge - extent.getMinY(), DigitPen.SIDE - edge - extent.getMaxY());
    dots.forEach(line -> line.forEach(p -> p.setLocation(p.x + x, p.y + y)));
    return dots;
  }

  private static double clamp(double value, double low, double high) {
    return Math.max(low, Math.min(high, value));
  }

  private static Rectangle2D bounds(List<List<Point2D.Double>> lines) {
    Rectangle2D.Double bounds = new Rectangle2D.Double();
    bounds.setFrameFromDiagonal(lines.get(0).get(0), lines.get(0).get(0));
    lines.forEach(line -> line.forEach(bounds::add));
    return bounds;
  }

  private static Point2D.Double mass(List<List<Point2D.Double>> lines) {
    double x = 0;
    double y = 0;
    int n = 0;
    for (List<Point2D.Double> line : lines) {
      for (Point2D.Double p : line) {
        x += p.x;
        y += p.y;
        n++;
      }
    }
    return new Point2D.Double(x / n, y / n);
  }

  private static List<Point2D.Double> evenly(List<Point2D.Double> line, double spacing) {
    List<Point2D.Double> dots = new ArrayList<>(List.of(line.get(0)));
    double ahead = spacing; // to the next dot
    for (int i = 1; i < line.size(); i++) {
      Point2D.Double from = line.get(i - 1);
      Point2D.Double to = line.get(i);
      double length = from.distance(to);
      for (; ahead <= length; ahead += spacing) {
        double t = ahead / length;
        dots.add(new Point2D.Double(from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)));
      }
      ahead -= length;
    }
    return dots;
  }
}
