package dev.dcgan.trainer.data.digits;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The shapes of the ten digits: a few variants per digit, each of one or more strokes.
 *
 * <p>A stroke is a smooth curve through points in percent of a box, x to the right and y down;
 * {@code !} marks a corner and {@code /} ends a stroke.
 */
final class DigitStrokes {

  /** A point of a stroke; the curve is not smooth at a corner. */
  record Point(double x, double y, boolean corner) {}

  private record Variant(int weight, List<List<Point>> strokes) {}

  private static final List<List<Variant>> DIGITS =
      List.of(
          List.of(
              variant(5, "55,2 27,11 10,48 23,88 48,99 75,86 89,50 75,13 52,2 40,6"),
              variant(3, "70,8 42,1 14,24 9,66 38,98 76,80 88,38 72,10 50,6"),
              variant(2, "40,4 18,30 15,70 42,98 74,82 86,42 66,8 36,3 26,14")),
          List.of(
              variant(14, "52,0 50,50 49,100"),
              variant(2, "36,20 46,11 54,0! 52,50 51,100"),
              variant(1, "33,22 45,12 54,0! 52,50 52,98 / 26,99 52,98 78,99")),
          List.of(
              variant(5, "12,24 26,6 55,0 80,15 78,40 52,68 12,96! 48,93 94,95"),
              variant(4, "16,20 36,3 66,3 80,22 70,48 44,78 20,96 8,88 22,76 46,86 70,96 97,86"),
              variant(2, "10,30 22,8 52,0 82,14 80,38 56,66 10,98! 40,88 70,95 98,88")),
          List.of(
              variant(5, "14,14 42,0 76,9 75,32 38,47! 78,57 84,82 50,100 8,88"),
              variant(3, "18,12 46,1 72,12 66,34 42,45 40,47 70,54 84,74 64,96 32,100 10,90"),
              variant(2, "10,8 46,2 84,3! 62,26 44,42! 72,48 86,70 70,95 36,100 4,84")),
          List.of(
              variant(4, "20,4 14,30 12,53! 48,56 88,50 / 78,0 74,50 66,100"),
              variant(3, "18,8 10,36 20,52 50,52 76,34! 84,2! 76,50 68,100"),
              variant(3, "62,0 34,34 6,62! 50,63 95,60 / 66,24 64,60 60,100")),
          List.of(
              variant(4, "84,3 55,4 28,6! 22,42! 52,37 82,55 80,84 46,100 8,90"),
              variant(3, "108,0 70,6 34,10! 22,44! 50,46 70,60 64,86 34,100 -6,92"),
              variant(3, "32,4 26,24 22,43! 48,38 76,50 80,78 52,99 12,92 / 31,5 56,5 88,1")),
          List.of(
              variant(5, "68,0 36,26 14,62 22,92 50,100 78,86 76,64 50,54 24,70 18,82"),
              variant(3, "52,0 26,30 14,66 28,96 60,98 80,80 64,62 36,66 18,84")),
          List.of(
              variant(5, "8,9 48,7 88,4! 66,42 44,100"),
              variant(2, "8,22 12,8 50,8 90,4! 70,40 50,100"),
              variant(2, "8,9 48,7 88,4! 66,42 42,100 / 36,53 60,50 84,48")),
          List.of(
              variant(
                  5,
                  "80,12 52,0 22,12 26,34 52,48 78,68 74,91 48,100 22,90 24,68 52,46 76,28 80,12"),
              variant(
                  3, "66,6 36,2 20,20 36,40 64,56 78,78 58,98 30,96 22,76 44,56 72,34 80,12 62,4")),
          List.of(
              variant(5, "80,14 54,0 22,13 14,34 34,50 62,42 80,15! 80,50 70,100"),
              variant(3, "78,20 56,1 26,8 14,30 30,48 58,42 78,20! 78,48 70,76 46,98 18,96"),
              variant(2, "76,14 46,2 20,18 20,40 44,48 70,32 78,10! 68,54 52,100")));

  private DigitStrokes() {}

  /** The strokes of a random variant of a digit, chosen by the variants' weights. */
  static List<List<Point>> of(int digit, PhiloxRandom random) {
    List<Variant> variants = DIGITS.get(digit);
    int total = variants.stream().mapToInt(Variant::weight).sum();
    double remaining = random.uniform(0, total);
    int i = 0;
    while (remaining >= variants.get(i).weight()) {
      remaining -= variants.get(i).weight();
      i++;
    }
    return variants.get(i).strokes();
  }

  private static Variant variant(int weight, String strokes) {
    List<List<Point>> parsed = new ArrayList<>();
    for (String stroke : strokes.split(" / ", -1)) {
      parsed.add(Arrays.stream(stroke.split(" ", -1)).map(DigitStrokes::point).toList());
    }
    return new Variant(weight, List.copyOf(parsed));
  }

  private static Point point(String text) {
    boolean corner = text.endsWith("!");
    int comma = text.indexOf(',');
    int end = corner ? text.length() - 1 : text.length();
    return new Point(
        Integer.parseInt(text, 0, comma, 10) / 100.0,
        Integer.parseInt(text, comma + 1, end, 10) / 100.0,
        corner);
  }
}
