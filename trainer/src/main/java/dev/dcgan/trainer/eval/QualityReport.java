package dev.dcgan.trainer.eval;

import dev.dcgan.trainer.eval.QualityMeter.Sizes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * How good a generator's images are, each figure beside what real pictures score.
 *
 * <p>A figure means something only beside its floor and within its feature space; both change with
 * the number of pictures.
 *
 * @param features the space's name
 * @param accuracy of the classifier, on held-out pictures
 * @param classes of the data; 0 where it has no labels
 * @param sizes the numbers of pictures that the figures were made of
 * @param generated the images' figures
 * @param floor the same of training pictures, as many; their nearest distance is that of held-out
 *     ones
 */
public record QualityReport(
    String features,
    OptionalDouble accuracy,
    int classes,
    Sizes sizes,
    Figures generated,
    Figures floor) {

  /**
   * Figures of some pictures.
   *
   * @param frechetDistance from the held-out pictures (Heusel et al. 2017)
   * @param precision the share on the held-out pictures' manifold (Kynkäänniemi et al. 2019)
   * @param recall the share of held-out pictures on these pictures' manifold
   * @param nearestDistance the median distance to the nearest training picture
   * @param classes as a classifier sees them, where there is one
   */
  public record Figures(
      double frechetDistance,
      double precision,
      double recall,
      double nearestDistance,
      @Nullable ClassFigures classes) {}

  /**
   * How near the images are to training pictures, against how near unseen pictures are: well below
   * 1 where training was memorised.
   */
  public double nearestRatio() {
    // Where held-out pictures are copies of training pictures, images are no nearer.
    return floor.nearestDistance == 0 ? 1 : generated.nearestDistance / floor.nearestDistance;
  }

  /**
   * What real pictures score, by the name that the same figure of images has in {@link #figures}.
   */
  public Map<String, Double> real() {
    Map<String, Double> real = new LinkedHashMap<>();
    real.put("frechet_distance", floor.frechetDistance);
    real.put("precision", floor.precision);
    real.put("recall", floor.recall);
    real.put("nearest_distance", floor.nearestDistance);
    if (floor.classes != null) {
      real.put("class_kl", floor.classes.divergence());
      real.put("modes_covered", (double) floor.classes.covered());
      real.put("confidence", floor.classes.confidence());
    }
    return Collections.unmodifiableMap(real);
  }

  /** Every figure by its stable name, for manifests, metrics and events. */
  public Map<String, Double> figures() {
    Map<String, Double> figures = new LinkedHashMap<>();
    figures.put("frechet_distance", generated.frechetDistance);
    figures.put("frechet_floor", floor.frechetDistance);
    figures.put("precision", generated.precision);
    figures.put("precision_floor", floor.precision);
    figures.put("recall", generated.recall);
    figures.put("recall_floor", floor.recall);
    figures.put("nearest_distance", generated.nearestDistance);
    figures.put("nearest_floor", floor.nearestDistance);
    figures.put("nearest_ratio", nearestRatio());
    if (generated.classes != null && floor.classes != null) {
      figures.put("class_kl", generated.classes.divergence());
      figures.put("class_kl_floor", floor.classes.divergence());
      figures.put("modes_covered", (double) generated.classes.covered());
      figures.put("modes_covered_floor", (double) floor.classes.covered());
      figures.put("confidence", generated.classes.confidence());
      figures.put("confidence_floor", floor.classes.confidence());
      figures.put("classes", (double) classes);
    }
    accuracy.ifPresent(value -> figures.put("classifier_accuracy", value));
    figures.put("images", (double) sizes.images());
    figures.put("held_out_images", (double) sizes.heldOut());
    figures.put("manifold_images", (double) sizes.manifold());
    figures.put("training_images", (double) sizes.training());
    return Collections.unmodifiableMap(figures);
  }

  /** A table for the terminal. */
  @Override
  public String toString() {
    List<String> lines = new ArrayList<>();
    lines.add("features: " + features + accuracyText());
    lines.add(row("", "generated", "real", ""));
    String against = count(sizes.images()) + " against " + count(sizes.heldOut()) + " held-out";
    lines.add(
        row(
            "Frechet distance", // No accent: not every terminal, nor every log, is UTF-8.
            decimal(generated.frechetDistance),
            decimal(floor.frechetDistance),
            against));
    String manifold = count(sizes.manifold()) + " against " + count(sizes.manifold()) + " held-out";
    lines.add(row("precision", decimal(generated.precision), decimal(floor.precision), manifold));
    lines.add(row("recall", decimal(generated.recall), decimal(floor.recall), manifold));
    lines.add(
        row(
            "nearest in training",
            decimal(generated.nearestDistance),
            decimal(floor.nearestDistance),
            "medians of %s among %s; ratio %s"
                .formatted(
                    count(sizes.manifold()), count(sizes.training()), decimal(nearestRatio()))));
    if (generated.classes != null && floor.classes != null) {
      ClassFigures classFigures = generated.classes;
      ClassFigures real = floor.classes;
      String images = count(sizes.images());
      lines.add(
          row("class KL", decimal(classFigures.divergence()), decimal(real.divergence()), images));
      lines.add(
          row(
              "modes covered",
              Integer.toString(classFigures.covered()),
              Integer.toString(real.covered()),
              "of " + classes));
      lines.add(
          row(
              "confidence",
              decimal(classFigures.confidence()),
              decimal(real.confidence()),
              images));
    }
    return String.join("\n", lines);
  }

  private String accuracyText() {
    return accuracy.isPresent()
        ? String.format(Locale.ROOT, ", %.2f %% right of held-out", 100 * accuracy.getAsDouble())
        : "";
  }

  private static String row(String what, String generated, String real, String counts) {
    return String.format(Locale.ROOT, "%-20s %10s %10s  %s", what, generated, real, counts)
        .stripTrailing();
  }

  private static String decimal(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }

  private static String count(int pictures) {
    return String.format(Locale.ROOT, "%,d", pictures);
  }
}
