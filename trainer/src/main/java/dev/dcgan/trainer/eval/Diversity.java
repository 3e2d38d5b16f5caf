package dev.dcgan.trainer.eval;

import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.data.ImageLabels;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * The diversity of a sample grid relative to the dataset: a cheap indicator of mode collapse.
 *
 * <p>Diversity is the mean Euclidean distance between the pixels of all pairs of images; with
 * classes that of the class with the lowest, because a conditional generator's images differ from
 * class to class even if each class has collapsed to one image. Only one thread may use it.
 */
final class Diversity {

  private static final int REAL_IMAGES = 100;
  private static final int REAL_IMAGES_PER_CLASS = 20;

  private static final int ALL = -1; // the label of all images without classes

  private final ImageDataset data;

  // Mutable state
  private final Map<Integer, Double> realDiversity = new HashMap<>(); // by label

  Diversity(ImageDataset data) {
    this.data = data;
  }

  /**
   * The images' diversity divided by that of up to 100 images of the dataset: 1 if they are as
   * diverse, 0 if all are equal. With labels the lowest such ratio of a class, with up to 20 real
   * images. It is 1 if the real images are all equal.
   *
   * @param images uint8, of one shape, at least two
   * @param labels of the images, as in {@link ImageLabels}; empty without classes
   * @throws IOException if images cannot be read
   */
  double relative(List<byte[]> images, int[] labels) throws IOException {
    if (images.size() < 2) {
      throw new IllegalArgumentException(images.size() + " images; expected at least 2");
    }
    Map<Integer, List<byte[]>> groups = new TreeMap<>();
    for (int i = 0; i < images.size(); i++) {
      groups
          .computeIfAbsent(labels.length == 0 ? ALL : labels[i], label -> new ArrayList<>())
          .add(images.get(i));
    }
    if (!realDiversity.keySet().containsAll(groups.keySet())) {
      measureReal(groups.keySet().stream().mapToInt(label -> label).toArray());
    }
    double lowest = Double.POSITIVE_INFINITY;
    for (Map.Entry<Integer, List<byte[]>> group : groups.entrySet()) {
      double real = Objects.requireNonNull(realDiversity.get(group.getKey()), "measured");
      lowest = Math.min(lowest, real == 0 ? 1 : meanDistance(group.getValue()) / real);
    }
    return lowest;
  }

  private void measureReal(int[] labels) throws IOException {
    if (labels[0] == ALL) {
      int count = Math.min(REAL_IMAGES, data.size());
      realDiversity.put(
          ALL, meanDistance(images(ImageBatches.permutation(data.size(), 0), 0, count)));
      return;
    }
    int[] wanted =
        IntStream.of(labels)
            .flatMap(label -> IntStream.generate(() -> label).limit(REAL_IMAGES_PER_CLASS))
            .toArray();
    int[] indices = ImageLabels.of(data).first(wanted);
    for (int i = 0; i < labels.length; i++) {
      realDiversity.put(
          labels[i],
          meanDistance(images(indices, i * REAL_IMAGES_PER_CLASS, REAL_IMAGES_PER_CLASS)));
    }
  }

  private List<byte[]> images(int[] indices, int first, int count) throws IOException {
    int size = data.shape().values();
    byte[] pixels = ImageBatches.pixels(data, indices, first, count);
    return IntStream.range(0, count)
        .mapToObj(i -> Arrays.copyOfRange(pixels, i * size, (i + 1) * size))
        .toList();
  }

  private static double meanDistance(List<byte[]> images) {
    double sum = 0;
    for (int i = 1; i < images.size(); i++) {
      for (int j = 0; j < i; j++) {
        sum += distance(images.get(i), images.get(j));
      }
    }
    int pairs = images.size() * (images.size() - 1) / 2;
    return pairs == 0 ? 0 : sum / pairs;
  }

  private static double distance(byte[] a, byte[] b) {
    long sum = 0;
    for (int i = 0; i < a.length; i++) {
      int difference = (a[i] & 0xFF) - (b[i] & 0xFF);
      sum += (long) difference * difference;
    }
    return Math.sqrt((double) sum);
  }
}
