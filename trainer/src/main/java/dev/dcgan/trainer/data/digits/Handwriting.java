package dev.dcgan.trainer.data.digits;

import dev.dcgan.trainer.data.digits.DigitStrokes.Point;
import java.awt.geom.AffineTransform;
import java.awt.geom.Point2D;
import java.awt.geom.Rectangle2D;
import java.util.ArrayList;
import java.util.List;

/**
 * The pen's path for one digit in a random handwriting, placed as in MNIST: scaled to a box of 20 x
 * 20, its center of mass in the middle of 28 x 28.
 */
final class Handwriting {

  private static final double BOX = 20;
  // MNIST's center of mass is the middle of pixel 14, counted from 0.
  private static final double CENTER = 14.5;
  private static final double MARGIN = 1.5;
  private static final int STEPS_PER_CURVE = 10;
  // In pen widths: close enough for the stamps to form a line.
  private static final double SPACING = 0.35;

  private final PhiloxRandom random;

  private Handwriting(PhiloxRandom random) {
    this.random = random;
  }

  /**
   * Writes a digit with a pen of the given width.
   *
   * @return evenly spaced points along each stroke, in pixels
   */
  static List<List<Point2D.Double>> of(int digit, double width, PhiloxRandom random) {
    Handwriting hand = new Handwriting(random);
    return hand.fitted(hand.written(digit), width);
  }

  /** The strokes as polylines in a unit box, with random distortions. */
  private List<List<Point2D.Double>> written(int digit) {
    double wave = random.approximatelyNormal(0, 0.03);
    double wavePhase = random.uniform(0, 2 * Math.PI);
    double swell = random.approximatelyNormal(0, 0.025);
    double swellPhase = random.uniform(0, 2 * Math.PI);
    AffineTransform transform = transform();
    List<List<Point2D.Double>> lines = new ArrayList<>();
    for (List<Point> stroke : DigitStrokes.of(digit, random)) {
      List<Point2D.Double> line = smooth(stroke.stream().map(this::jittered).toList());
      for (Point2D.Double p : line) {
        double x = p.x + wave * StrictMath.sin(5 * p.y + wavePhase);
        double y = p.y + swell * StrictMath.sin(5 * p.x + swellPhase);
        p.setLocation(x, y);
        transform.transform(p, p);
      }
      lines.add(line);
    }
    return lines;
  }

  /** A random aspect ratio, slant and rotation. */
  private AffineTransform transform() {
    double aspect = random.approximatelyNormal(0.94, 0.15);
    double slant = random.approximatelyNormal(0.15, 0.2);
    double turn = random.approximatelyNormal(0, 0.08);
    AffineTransform transform =
        new AffineTransform(
            StrictMath.cos(turn),
            StrictMath.sin(turn),
            -StrictMath.sin(turn),
            StrictMath.cos(turn),
            0,
            0);
    transform.shear(-slant, 0);
    transform.scale(aspect, 1);
    return transform;
  }

  private Point jittered(Point p) {
    return new Point(
        p.x() + random.approximatelyNormal(0, 0.036),
        p.y() + random.approximatelyNormal(0, 0.036),
        p.corner());
  }

  /** A Catmull-Rom spline through the points, interrupted at corners. */
  private static List<Point2D.Double> smooth(List<Point> points) {
    List<Point2D.Double> line = new ArrayList<>();
    int last = points.size() - 1;
    for (int i = 0; i < last; i++) {
      Point b = points.get(i);
      Point c = points.get(i + 1);
      Point a = i == 0 || b.corner() ? b : points.get(i - 1);
      Point d = i + 1 == last || c.corner() ? c : points.get(i + 2);
      for (int step = 0; step < STEPS_PER_CURVE; step++) {
        double t = (double) step / STEPS_PER_CURVE;
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

  /**
   * Scales the lines to the box, centers their mass, and returns evenly spaced points in pixels.
   */
  private List<List<Point2D.Double>> fitted(List<List<Point2D.Double>> lines, double width) {
    Rectangle2D bounds = bounds(lines);
    double room = BOX * random.uniform(0.92, 1.03) - width;
    double scale = room / Math.max(bounds.getWidth(), bounds.getHeight());
    List<List<Point2D.Double>> points = new ArrayList<>();
    for (List<Point2D.Double> line : lines) {
      line.forEach(p -> p.setLocation(p.x * scale, p.y * scale));
      points.add(resample(line, SPACING * width));
    }
    Point2D.Double mass = centerOfMass(points);
    Rectangle2D extent = bounds(points);
    double edge = MARGIN + width / 2;
    double dx = CENTER - mass.x + random.uniform(-0.7, 0.7);
    double dy = CENTER - mass.y + random.uniform(-0.7, 0.7);
    double x = clamp(dx, edge - extent.getMinX(), DigitPen.SIDE - edge - extent.getMaxX());
    double y = clamp(dy, edge - extent.getMinY(), DigitPen.SIDE - edge - extent.getMaxY());
    points.forEach(line -> line.forEach(p -> p.setLocation(p.x + x, p.y + y)));
    return points;
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

  private static Point2D.Double centerOfMass(List<List<Point2D.Double>> lines) {
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

  private static List<Point2D.Double> resample(List<Point2D.Double> line, double spacing) {
    List<Point2D.Double> points = new ArrayList<>(List.of(line.get(0)));
    double untilNext = spacing; // distance to the next point
    for (int i = 1; i < line.size(); i++) {
      Point2D.Double from = line.get(i - 1);
      Point2D.Double to = line.get(i);
      double length = from.distance(to);
      for (; untilNext <= length; untilNext += spacing) {
        double t = untilNext / length;
        points.add(new Point2D.Double(from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)));
      }
      untilNext -= length;
    }
    return points;
  }
}
