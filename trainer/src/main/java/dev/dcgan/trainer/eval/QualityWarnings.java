package dev.dcgan.trainer.eval;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Says which quality metrics mean little, from the metrics themselves. */
public final class QualityWarnings {

  /** The metric that has the diversity of the sample grid relative to real images. */
  public static final String DIVERSITY = "sample_diversity";

  // As in TrainingMonitor.
  private static final double MIN_DIVERSITY = 0.2;

  // One image in 200 is half a percent, and the standard error of a fraction at most 3.5 %.
  private static final int MIN_MANIFOLD_IMAGES = 200;

  // How far the accuracy is on the way from that of always answering the largest class to 1.
  private static final double MIN_ACCURACY_ABOVE_CHANCE = 0.3;

  private QualityWarnings() {}

  /**
   * What makes metrics less meaningful than they look, one line for each reason.
   *
   * @param metrics of {@link QualityReport#metrics}; what older checkpoints lack is not judged
   */
  public static List<String> of(Map<String, Double> metrics) {
    List<String> warnings = unreliable(metrics);
    double diversity = metrics.getOrDefault(DIVERSITY, 1.0);
    if (diversity < MIN_DIVERSITY) {
      warnings.add(
          text(
              "the generated images, or those of one class, are nearly all alike: relative diversity"
                  + " %.2f, mode collapse or too little training",
              diversity));
    }
    double images = metrics.getOrDefault("images", 0.0);
    double requested = metrics.getOrDefault("requested_images", 0.0);
    if (images < requested) {
      warnings.add(
          text(
              "quality is measured with %.0f generated images instead of %.0f (--evaluation-images):"
                  + " there are no more training images to compare with",
              images, requested));
    }
    return warnings;
  }

  /** Whether nothing but a smaller number of images than requested speaks against the metrics. */
  static boolean areReliable(Map<String, Double> metrics) {
    return unreliable(metrics).isEmpty();
  }

  private static List<String> unreliable(Map<String, Double> metrics) {
    List<String> warnings = new ArrayList<>();
    if (metrics.getOrDefault("held_out_is_training", 0.0) > 0) {
      warnings.add(
          "quality is measured against the training images, because none are held out (--held-out"
              + " 0): memorized images score best");
    }
    double heldOut = metrics.getOrDefault("held_out_images", Double.MAX_VALUE);
    double images = metrics.getOrDefault("images", Double.MAX_VALUE);
    double features = metrics.getOrDefault("feature_count", 0.0);
    if (Math.min(heldOut, images) <= features) {
      warnings.add(
          text(
              "the Frechet distance of %.0f generated and %.0f held-out images in %.0f features is"
                  + " rank-deficient: it needs more images than features",
              images, heldOut, features));
    }
    double manifold = metrics.getOrDefault("manifold_images", Double.MAX_VALUE);
    if (manifold < MIN_MANIFOLD_IMAGES) {
      warnings.add(
          text(
              "precision and recall of %.0f images vary by chance: they need about %d",
              manifold, MIN_MANIFOLD_IMAGES));
    }
    if (metrics.containsKey("classes") && !metrics.containsKey("classifier_accuracy")) {
      warnings.add(
          "the accuracy of the evaluation classifier is unknown, because no held-out image has a"
              + " label: its features and classes may mean little");
    }
    double accuracy = metrics.getOrDefault("classifier_accuracy", 1.0);
    double chance = metrics.getOrDefault("largest_class", 0.0);
    if (accuracy - chance < MIN_ACCURACY_ABOVE_CHANCE * (1 - chance)) {
      warnings.add(
          text(
              "the evaluation classifier is near chance: it is right on %.1f %% of the held-out"
                  + " images, and the largest class has %.1f %% of the images; its features and"
                  + " classes mean little: use --features",
              100 * accuracy, 100 * chance));
    }
    return warnings;
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
