package dev.dcgan.e2e;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;

/** Writes drawings as small files: with a palette of the 256 colours that they have most of. */
final class Png {

  private Png() {}

  static void write(BufferedImage drawing, Path file) throws IOException {
    int width = drawing.getWidth();
    int height = drawing.getHeight();
    int[] pixels = drawing.getRGB(0, 0, width, height, null, 0, width);
    Map<Integer, Integer> counts = new HashMap<>();
    for (int pixel : pixels) {
      counts.merge(pixel, 1, Integer::sum);
    }
    List<Integer> colors =
        counts.entrySet().stream()
            .sorted(Map.Entry.<Integer, Integer>comparingByValue().reversed())
            .limit(256)
            .map(Map.Entry::getKey)
            .toList();
    int[] palette = colors.stream().mapToInt(color -> color).toArray();
    BufferedImage indexed =
        new BufferedImage(
            width,
            height,
            BufferedImage.TYPE_BYTE_INDEXED,
            new IndexColorModel(8, palette.length, palette, 0, false, -1, 0));
    Map<Integer, Integer> nearest = new HashMap<>();
    for (int i = 0; i < pixels.length; i++) {
      int index = nearest.computeIfAbsent(pixels[i], color -> nearest(color, colors));
      indexed.getRaster().setSample(i % width, i / width, 0, index);
    }
    ImageIO.write(indexed, "png", file.toFile());
  }

  private static int nearest(int color, List<Integer> colors) {
    return colors.indexOf(
        colors.stream()
            .min(Comparator.comparingInt(other -> distance(color, other)))
            .orElseThrow());
  }

  private static int distance(int a, int b) {
    int sum = 0;
    for (int shift = 0; shift < 24; shift += 8) {
      int difference = (a >> shift & 0xFF) - (b >> shift & 0xFF);
      sum += difference * difference;
    }
    return sum;
  }
}
