package dev.dcgan.trainer.train;

import dev.dcgan.trainer.train.TrainingListener.Metrics;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.StringJoiner;

/**
 * Detects the usual failures of GAN training from a run's metrics; warns once when a failure begins
 * and once when it ends. It is a pure computation, used by one thread.
 *
 * <ul>
 *   <li>{@link Kind#NON_FINITE}: a metric is NaN or infinite. It ends after {@value #WINDOW} finite
 *       steps. The other rules ignore such steps, which would make their means NaN.
 *   <li>{@link Kind#SATURATED}: over the last {@value #WINDOW} steps the mean D(x) is above 0.99
 *       and the mean D(G(z)) below 0.01, or the mean discriminator loss is below 0.01. The
 *       discriminator is nearly always right, and gives the generator little gradient (Arjovsky and
 *       Bottou 2017). It ends when neither holds for 0.98 and 0.02.
 *   <li>{@link Kind#VANISHED}: over the last {@value #WINDOW} steps the mean norm of the
 *       generator's gradient is below 1e-6, or below 1e-4 of the largest such mean so far. It ends
 *       above ten times both thresholds.
 *   <li>{@link Kind#COLLAPSED}: mode collapse. At the end of {@value #EPOCHS} consecutive epochs
 *       the sample grid's relative diversity, with classes that of the class with the lowest, is
 *       below 0.2, or the generator covers fewer than half of the classes. It ends when {@value
 *       #EPOCHS} consecutive epochs reach 0.3 and 0.6. Because an untrained generator has no
 *       diversity, epochs count only after one has reached 0.3 and 0.6, or from step {@value
 *       #WARM_UP} on.
 * </ul>
 *
 * <p>Runs of less than 5 * {@value #WINDOW} steps have a shorter window, a fifth of the run. The
 * last epoch of every run counts, by itself: its generator is published, whether it has collapsed
 * or was trained too little to have any diversity.
 *
 * <p>The thresholds have hysteresis, so that a metric near one causes a single warning. The state
 * is the metrics of the last {@value #WINDOW} steps and a few numbers; the same metrics give the
 * same warnings. The state is not saved: in the first {@value #WINDOW} steps after a resume only
 * {@link Kind#NON_FINITE} is detected, the largest gradient is that since the resume, and a failure
 * that persists is reported again.
 */
public final class TrainingMonitor {

  /** The number of steps that means are taken over: enough for single batches not to matter. */
  static final int WINDOW = 200;

  /** The shortest window: in a run of less than 5 * 10 steps single batches do matter. */
  static final int MIN_WINDOW = 10;

  /** Consecutive epochs that begin and end a collapse: a single epoch may be an outlier. */
  static final int EPOCHS = 2;

  /** By this step even a small generator has diverse images: one of width 16 takes 2100 steps. */
  static final long WARM_UP = 3000;

  // Probabilities this close to 1 and 0, where the sigmoid is flat, and cross-entropies this close
  // to 0 nats. Good runs on MNIST stay ten times as far away; a factor of two exceeds the noise.
  private static final double SATURATED_MARGIN = 0.01;
  private static final double UNSATURATED_MARGIN = 2 * SATURATED_MARGIN;

  // Adam normalizes by the gradient's magnitude, which fails when rounding noise dominates: at 1e-4
  // of the largest gradient. In a healthy run gradients vary by a factor of ten.
  private static final double MIN_GRADIENT_NORM = 1e-6;
  private static final double MIN_RELATIVE_GRADIENT_NORM = 1e-4;
  private static final double RECOVERY_FACTOR = 10;

  // An untrained generator has a relative diversity of at most 0.03, which grows for thousands of
  // steps: a threshold much above 0.2 would report generators that only need more training.
  private static final double COLLAPSED_DIVERSITY = 0.2;
  private static final double RECOVERED_DIVERSITY = 0.3;
  private static final double COLLAPSED_COVERAGE = 0.5;
  private static final double RECOVERED_COVERAGE = 0.6;

  /** The kinds of failure. */
  public enum Kind {
    NON_FINITE,
    SATURATED,
    VANISHED,
    COLLAPSED
  }

  /**
   * The beginning or end of a failure.
   *
   * @param begins true if it begins, false if it ends
   * @param step over all epochs, from 1
   * @param message one line with the metrics and, if it begins, what to try
   */
  public record Warning(Kind kind, boolean begins, long step, String message) {}

  private final long steps;
  private final int window;

  // Mutable state
  private final Set<Kind> active = EnumSet.noneOf(Kind.class);
  private final SlidingWindow discriminatorLoss;
  private final SlidingWindow realScore;
  private final SlidingWindow fakeScore;
  private final SlidingWindow generatorGradientNorm;
  private double largestGradientNorm;
  private int finiteSteps;
  private boolean wasDiverse;
  private int collapsedEpochs;
  private int recoveredEpochs;

  /**
   * Creates a monitor for one run.
   *
   * @param steps that the run has in all its epochs
   */
  public TrainingMonitor(long steps) {
    this.steps = steps;
    window = (int) Math.max(MIN_WINDOW, Math.min(WINDOW, steps / 5));
    discriminatorLoss = new SlidingWindow(window);
    realScore = new SlidingWindow(window);
    fakeScore = new SlidingWindow(window);
    generatorGradientNorm = new SlidingWindow(window);
  }

  /**
   * Evaluates a step.
   *
   * @param step over all epochs, from 1
   * @return failures that begin or end with this step, usually none
   */
  public List<Warning> onStep(long step, Metrics metrics) {
    List<Warning> warnings = new ArrayList<>();
    String nonFinite = nonFinite(metrics);
    finiteSteps = nonFinite.isEmpty() ? finiteSteps + 1 : 0;
    checkFinite(nonFinite, step, warnings);
    if (nonFinite.isEmpty()) {
      discriminatorLoss.add(metrics.discriminatorLoss());
      realScore.add(metrics.realScore());
      fakeScore.add(metrics.fakeScore());
      generatorGradientNorm.add(metrics.generatorGradientNorm());
      if (realScore.isFull()) {
        checkSaturation(step, warnings);
        checkGradient(step, warnings);
      }
    }
    return warnings;
  }

  /**
   * Evaluates the end of an epoch.
   *
   * @param step the epoch's last step
   * @param diversity the sample grid's diversity relative to real images
   * @param coverage the fraction of classes that the generator covers, if it was measured
   * @return failures that begin or end with this epoch, usually none
   */
  public List<Warning> onEpoch(long step, double diversity, OptionalDouble coverage) {
    List<Warning> warnings = new ArrayList<>();
    double covered = coverage.orElse(1);
    boolean collapsed = diversity < COLLAPSED_DIVERSITY || covered < COLLAPSED_COVERAGE;
    boolean recovered = diversity >= RECOVERED_DIVERSITY && covered >= RECOVERED_COVERAGE;
    wasDiverse |= recovered;
    boolean isLast = step >= steps;
    if (wasDiverse || step >= WARM_UP || isLast) {
      collapsedEpochs = collapsed ? collapsedEpochs + 1 : 0;
      if (isLast && collapsed) {
        collapsedEpochs = EPOCHS;
      }
      recoveredEpochs = recovered ? recoveredEpochs + 1 : 0;
      checkDiversity(describe(diversity, coverage), step, warnings);
    }
    return warnings;
  }

  private void checkFinite(String nonFinite, long step, List<Warning> warnings) {
    if (begins(Kind.NON_FINITE, !nonFinite.isEmpty())) {
      String message =
          "metrics are not finite: %s; try a lower --learning-rate".formatted(nonFinite);
      warnings.add(new Warning(Kind.NON_FINITE, true, step, message));
    } else if (ends(Kind.NON_FINITE, finiteSteps >= window)) {
      String message = "all metrics have been finite for %d steps".formatted(window);
      warnings.add(new Warning(Kind.NON_FINITE, false, step, message));
    }
  }

  private void checkSaturation(long step, List<Warning> warnings) {
    if (begins(Kind.SATURATED, saturated(SATURATED_MARGIN))) {
      String message =
          "the discriminator is saturated, the generator gets little gradient: %s;"
              + " try a lower --learning-rate or more images";
      warnings.add(new Warning(Kind.SATURATED, true, step, message.formatted(scores())));
    } else if (ends(Kind.SATURATED, !saturated(UNSATURATED_MARGIN))) {
      String message = "the discriminator is no longer saturated: " + scores();
      warnings.add(new Warning(Kind.SATURATED, false, step, message));
    }
  }

  private boolean saturated(double margin) {
    return (realScore.mean() > 1 - margin && fakeScore.mean() < margin)
        || discriminatorLoss.mean() < margin;
  }

  private String scores() {
    return "means over %d steps: D(x) %.4f, D(G(z)) %.4f, discriminator loss %.4f"
        .formatted(window, realScore.mean(), fakeScore.mean(), discriminatorLoss.mean());
  }

  private void checkGradient(long step, List<Warning> warnings) {
    double mean = generatorGradientNorm.mean();
    largestGradientNorm = Math.max(largestGradientNorm, mean);
    double threshold =
        Math.max(MIN_GRADIENT_NORM, MIN_RELATIVE_GRADIENT_NORM * largestGradientNorm);
    if (begins(Kind.VANISHED, mean < threshold)) {
      String message =
          "the generator's gradient has vanished: %s; resume from an earlier checkpoint, or try a"
              + " lower --learning-rate";
      warnings.add(new Warning(Kind.VANISHED, true, step, message.formatted(gradients())));
    } else if (ends(Kind.VANISHED, mean > RECOVERY_FACTOR * threshold)) {
      String message = "the generator's gradient has recovered: " + gradients();
      warnings.add(new Warning(Kind.VANISHED, false, step, message));
    }
  }

  private String gradients() {
    return "mean norm over %d steps %.1e, largest mean so far %.1e"
        .formatted(window, generatorGradientNorm.mean(), largestGradientNorm);
  }

  private void checkDiversity(String metrics, long step, List<Warning> warnings) {
    if (begins(Kind.COLLAPSED, collapsedEpochs >= EPOCHS)) {
      String message =
          "mode collapse: at the end of %d epochs %s; try another --seed, a lower --learning-rate"
              + " or a larger --batch-size";
      String tooShort =
          "the generated images, or those of one class, are nearly all alike after %d steps: %s;"
              + " train for more --epochs, or try another --seed";
      warnings.add(
          new Warning(
              Kind.COLLAPSED,
              true,
              step,
              wasDiverse || step >= WARM_UP
                  ? message.formatted(EPOCHS, metrics)
                  : tooShort.formatted(step, metrics)));
    } else if (ends(Kind.COLLAPSED, recoveredEpochs >= EPOCHS)) {
      String message = "mode collapse has ended: " + metrics;
      warnings.add(new Warning(Kind.COLLAPSED, false, step, message));
    }
  }

  private static String describe(double diversity, OptionalDouble coverage) {
    String text = "relative diversity %.2f".formatted(diversity);
    return coverage.isEmpty()
        ? text
        : "%s, class coverage %.0f%%".formatted(text, 100 * coverage.getAsDouble());
  }

  private boolean begins(Kind kind, boolean bad) {
    return bad && active.add(kind);
  }

  private boolean ends(Kind kind, boolean clear) {
    return clear && active.remove(kind);
  }

  /** The names and values of metrics that are NaN or infinite; empty if all are finite. */
  private static String nonFinite(Metrics metrics) {
    StringJoiner found = new StringJoiner(", ");
    addNonFinite(found, "discriminator loss", metrics.discriminatorLoss());
    addNonFinite(found, "generator loss", metrics.generatorLoss());
    addNonFinite(found, "D(x)", metrics.realScore());
    addNonFinite(found, "D(G(z))", metrics.fakeScore());
    addNonFinite(found, "generator gradient norm", metrics.generatorGradientNorm());
    addNonFinite(found, "discriminator gradient norm", metrics.discriminatorGradientNorm());
    return found.toString();
  }

  private static void addNonFinite(StringJoiner found, String name, float value) {
    if (!Float.isFinite(value)) {
      found.add(name + " is " + value);
    }
  }
}
