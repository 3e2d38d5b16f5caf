package dev.dcgan.trainer.eval;

import dev.dcgan.trainer.data.ImageDataset;
import dev.dcgan.trainer.eval.LabelMetrics.ClassRow;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * Quality metrics of a generator's images, each beside the real-vs-real baseline.
 *
 * <p>A metric is comparable only within one feature space and for the same numbers of images.
 *
 * @param features the name of the feature space
 * @param accuracy the classifier's accuracy on held-out images
 * @param classes the dataset's number of classes; 0 without labels
 * @param sizes the numbers of images that the metrics were computed from
 * @param conditions what limits the meaning of the metrics
 * @param generated the metrics of the generated images
 * @param baseline the metrics of as many training images; their nearest distance is that of
 *     held-out images
 * @param labels the metrics of each class of a conditional generator's images; null if it is not
 *     conditional or has other classes than the dataset
 * @param realLabels those of the training images; null together with {@code labels}
 */
public record QualityReport(
    String features,
    OptionalDouble accuracy,
    int classes,
    Sizes sizes,
    Conditions conditions,
    Metrics generated,
    Metrics baseline,
    @Nullable LabelMetrics labels,
    @Nullable LabelMetrics realLabels) {

  /**
   * The numbers of images that metrics are computed from.
   *
   * @param images generated images, and as many training images for the baseline
   * @param heldOut held-out images that both are compared with
   * @param manifold images of each kind for precision, recall and nearest neighbors, whose cost is
   *     quadratic
   * @param training training images that nearest neighbors are searched among
   */
  public record Sizes(int images, int heldOut, int manifold, int training) {

    /** 5,000 generated and 10,000 held-out images; 2,000 for manifolds; neighbors among 60,000. */
    static final Sizes STANDARD = new Sizes(5_000, 10_000, 2_000, 60_000);

    public Sizes {
      if (Math.min(Math.min(images, heldOut), Math.min(manifold, training)) < 2) {
        throw new IllegalArgumentException(
            "%d images, %d held-out, %d for the manifold, %d training; expected at least 2 of each"
                .formatted(images, heldOut, manifold, training));
      }
    }

    /** These sizes, limited to the images that the datasets have. */
    Sizes within(ImageDataset training, ImageDataset heldOut) {
      return new Sizes(
          Math.min(images, training.size()),
          Math.min(this.heldOut, heldOut.size()),
          Math.min(manifold, Math.min(training.size(), heldOut.size())),
          Math.min(this.training, training.size()));
    }
  }

  /**
   * What limits the meaning of metrics.
   *
   * @param features the number of features of an image
   * @param requestedImages the generated images that were requested
   * @param heldOutIsTraining whether no images are held out, so that the training images are used
   * @param largestClass the fraction of the training images in the largest class; NaN without
   *     labels
   */
  public record Conditions(
      int features, int requestedImages, boolean heldOutIsTraining, double largestClass) {}

  /**
   * Metrics of one set of images.
   *
   * @param frechetDistance the distance to the held-out images (Heusel et al. 2017)
   * @param precision the fraction on the held-out images' manifold (Kynkäänniemi et al. 2019)
   * @param recall the fraction of held-out images on these images' manifold
   * @param nearestDistance the median distance to the nearest training image
   * @param classes the metrics of their classes; null without a classifier
   */
  public record Metrics(
      double frechetDistance,
      double precision,
      double recall,
      double nearestDistance,
      @Nullable ClassMetrics classes) {}

  /**
   * The images' nearest distance divided by that of held-out images; well below 1 if the generator
   * memorized the training set.
   */
  public double nearestRatio() {
    // If held-out images are copies of training images, no image can be nearer.
    return baseline.nearestDistance == 0 ? 1 : generated.nearestDistance / baseline.nearestDistance;
  }

  /** The real-vs-real baseline of each metric, by the metric's name in {@link #metrics}. */
  public Map<String, Double> baselineMetrics() {
    Map<String, Double> real = new LinkedHashMap<>();
    real.put("frechet_distance", baseline.frechetDistance);
    real.put("precision", baseline.precision);
    real.put("recall", baseline.recall);
    real.put("nearest_distance", baseline.nearestDistance);
    if (baseline.classes != null) {
      real.put("class_kl", baseline.classes.klDivergence());
      real.put("modes_covered", (double) baseline.classes.modesCovered());
      real.put("confidence", baseline.classes.confidence());
    }
    if (realLabels != null) {
      putLabels(real, realLabels, "label_accuracy", "class_frechet_distance");
    }
    return Collections.unmodifiableMap(real);
  }

  /** All metrics by their stable names, for manifests, Prometheus and events. */
  public Map<String, Double> metrics() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("frechet_distance", generated.frechetDistance);
    metrics.put("frechet_floor", baseline.frechetDistance);
    metrics.put("precision", generated.precision);
    metrics.put("precision_floor", baseline.precision);
    metrics.put("recall", generated.recall);
    metrics.put("recall_floor", baseline.recall);
    metrics.put("nearest_distance", generated.nearestDistance);
    metrics.put("nearest_floor", baseline.nearestDistance);
    metrics.put("nearest_ratio", nearestRatio());
    if (generated.classes != null && baseline.classes != null) {
      metrics.put("class_kl", generated.classes.klDivergence());
      metrics.put("class_kl_floor", baseline.classes.klDivergence());
      metrics.put("modes_covered", (double) generated.classes.modesCovered());
      metrics.put("modes_covered_floor", (double) baseline.classes.modesCovered());
      metrics.put("confidence", generated.classes.confidence());
      metrics.put("confidence_floor", baseline.classes.confidence());
      metrics.put("classes", (double) classes);
    }
    if (labels != null && realLabels != null) {
      putLabels(metrics, labels, "label_accuracy", "class_frechet_distance");
      putLabels(metrics, realLabels, "label_accuracy_floor", "class_frechet_floor");
      for (ClassRow each : labels.classes()) {
        if (!Double.isNaN(each.frechetDistance())) {
          metrics.put("class_frechet_distance/" + each.name(), each.frechetDistance());
        }
      }
    }
    accuracy.ifPresent(value -> metrics.put("classifier_accuracy", value));
    metrics.put("images", (double) sizes.images());
    metrics.put("held_out_images", (double) sizes.heldOut());
    metrics.put("manifold_images", (double) sizes.manifold());
    metrics.put("training_images", (double) sizes.training());
    metrics.put("requested_images", (double) conditions.requestedImages());
    metrics.put("feature_count", (double) conditions.features());
    metrics.put("held_out_is_training", conditions.heldOutIsTraining() ? 1.0 : 0.0);
    if (!Double.isNaN(conditions.largestClass())) {
      metrics.put("largest_class", conditions.largestClass());
    }
    metrics.put("reliable", QualityWarnings.areReliable(metrics) ? 1.0 : 0.0);
    return Collections.unmodifiableMap(metrics);
  }

  /** What could not be measured is left out. */
  private static void putLabels(
      Map<String, Double> metrics, LabelMetrics of, String accuracy, String distance) {
    if (!Double.isNaN(of.accuracy())) {
      metrics.put(accuracy, of.accuracy());
    }
    if (!Double.isNaN(of.meanFrechetDistance())) {
      metrics.put(distance, of.meanFrechetDistance());
    }
  }

  /** What makes metrics less meaningful than they look, one line for each reason. */
  public List<String> warnings() {
    return QualityWarnings.of(metrics());
  }

  /** A table for the console. */
  @Override
  public String toString() {
    List<String> lines = new ArrayList<>();
    lines.add("features: " + features + accuracyText());
    lines.add("the Frechet distance in these features is not comparable with Inception FID");
    lines.add(row("", "generated", "real", ""));
    String held = conditions.heldOutIsTraining() ? " training" : " held-out";
    String against = count(sizes.images()) + " against " + count(sizes.heldOut()) + held;
    lines.add(
        row(
            "Frechet distance", // no accent: not every console is UTF-8
            decimal(generated.frechetDistance),
            decimal(baseline.frechetDistance),
            against));
    String manifold = count(sizes.manifold()) + " against " + count(sizes.manifold()) + held;
    lines.add(
        row("precision", decimal(generated.precision), decimal(baseline.precision), manifold));
    lines.add(row("recall", decimal(generated.recall), decimal(baseline.recall), manifold));
    lines.add(
        row(
            "nearest in training",
            decimal(generated.nearestDistance),
            decimal(baseline.nearestDistance),
            "medians of %s among %s; ratio %s"
                .formatted(
                    count(sizes.manifold()), count(sizes.training()), decimal(nearestRatio()))));
    if (generated.classes != null && baseline.classes != null) {
      ClassMetrics classMetrics = generated.classes;
      ClassMetrics real = baseline.classes;
      String images = count(sizes.images());
      lines.add(
          row(
              "class KL",
              decimal(classMetrics.klDivergence()),
              decimal(real.klDivergence()),
              images));
      lines.add(
          row(
              "modes covered",
              Integer.toString(classMetrics.modesCovered()),
              Integer.toString(real.modesCovered()),
              "of " + classes));
      lines.add(
          row(
              "confidence",
              decimal(classMetrics.confidence()),
              decimal(real.confidence()),
              images));
    }
    if (labels != null && realLabels != null) {
      lines.add(
          row(
              "label accuracy",
              decimal(labels.accuracy()),
              decimal(realLabels.accuracy()),
              count(sizes.images())));
      lines.add(
          row(
              "Frechet by class",
              decimal(labels.meanFrechetDistance()),
              decimal(realLabels.meanFrechetDistance()),
              "mean of " + labels.classes().size()));
    }
    return String.join("\n", lines);
  }

  /** A table of the classes for the console; empty if the generator is not conditional. */
  public String classTable() {
    if (labels == null || realLabels == null) {
      return "";
    }
    Map<String, ClassRow> real = new HashMap<>();
    realLabels.classes().forEach(each -> real.put(each.name(), each));
    List<String> lines = new ArrayList<>();
    lines.add(classRow("class", "accuracy", "real", "Frechet", "real", "images"));
    for (ClassRow each : labels.classes()) {
      ClassRow baselineRow = real.get(each.name());
      lines.add(
          classRow(
              each.name(),
              decimal(each.accuracy()),
              baselineRow == null ? "" : decimal(baselineRow.accuracy()),
              decimal(each.frechetDistance()),
              baselineRow == null ? "" : decimal(baselineRow.frechetDistance()),
              "%s against %s held-out".formatted(count(each.images()), count(each.heldOut()))));
    }
    return String.join("\n", lines);
  }

  private static String classRow(
      String name,
      String accuracy,
      String realAccuracy,
      String distance,
      String realDistance,
      String counts) {
    return String.format(
            Locale.ROOT,
            "%-20s %8s %8s %10s %10s  %s",
            name,
            accuracy,
            realAccuracy,
            distance,
            realDistance,
            counts)
        .stripTrailing();
  }

  private String accuracyText() {
    return accuracy.isPresent()
        ? String.format(
            Locale.ROOT,
            ", accuracy %.2f %% on %s images",
            100 * accuracy.getAsDouble(),
            conditions.heldOutIsTraining() ? "training" : "held-out")
        : "";
  }

  private static String row(String metric, String generated, String real, String counts) {
    return String.format(Locale.ROOT, "%-20s %10s %10s  %s", metric, generated, real, counts)
        .stripTrailing();
  }

  private static String decimal(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }

  private static String count(int images) {
    return String.format(Locale.ROOT, "%,d", images);
  }
}
