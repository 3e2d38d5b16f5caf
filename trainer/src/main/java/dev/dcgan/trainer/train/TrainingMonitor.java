package dev.dcgan.trainer.train;

import dev.dcgan.trainer.train.TrainingListener.Figures;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.StringJoiner;

/**
 * Tells from a run's figures when training goes the ways in which GANs fail, once when a failure
 * begins and once when it is over; computes only, and is used by one thread.
 *
 * <ul>
 *   <li>{@link Kind#NON_FINITE}: a figure is NaN or infinite. Over after {@value #WINDOW} finite
 *       steps. Such a step counts for none of the other rules, whose means it would spoil.
 *   <li>{@link Kind#SATURATED}: over the last {@value #WINDOW} steps D(x) averages above 0.99 and
 *       D(G(z)) below 0.01, or the discriminator's loss averages below 0.01: it is never wrong, and
 *       its gradient teaches the generator little (Arjovsky and Bottou 2017). Over when neither
 *       holds even of 0.98 and 0.02.
 *   <li>{@link Kind#VANISHED}: over the last {@value #WINDOW} steps the norm of the generator's
 *       gradient averages below 1e-6, or below 1e-4 of the largest such average so far: it stands
 *       still. Over above ten times both.
 *   <li>{@link Kind#COLLAPSED}: the fixed latents' pictures differ from one another by less than
 *       0.2 of what real ones do, or show fewer than half of the classes, at the end of {@value
 *       #EPOCHS} epochs running: many latents give one picture. Over when {@value #EPOCHS} epochs
 *       running reach 0.3 and 0.6. Since a generator begins with one grey for all, epochs count
 *       only once one has reached 0.3 and 0.6, or, where none does, from step {@value #WARM_UP} on.
 * </ul>
 *
 * <p>What is over must have come clear of the threshold, so that a figure that hovers there is told
 * of once. All that is remembered is the last {@value #WINDOW} steps' figures and a few numbers;
 * the same figures give the same warnings. A resumed run begins with nothing remembered: its first
 * {@value #WINDOW} steps say nothing but of {@link Kind#NON_FINITE}, the largest gradient is that
 * since the resume, and a failure that lasts is told of again.
 */
public final class TrainingMonitor {

  /** Steps that a judgement looks back on: enough for single batches not to matter. */
  static final int WINDOW = 200;

  /** Epochs running that it takes to begin and to end a collapse: one sheet may be a bad draw. */
  static final int EPOCHS = 2;

  /** By this step even a small generator has left its first grey: one of width 16 takes 2100. */
  static final long WARM_UP = 3000;

  // Probabilities this near 1 and 0, where the sigmoid is flat; likewise cross-entropies this near
  // 0, natural units. Runs that do well on MNIST keep ten times as far off; twice is clear of
  // noise.
  private static final double SATURATED = 0.01;
  private static final double UNSATURATED = 2 * SATURATED;

  // Adam divides by the gradient's own size, but no longer where float32's noise rules: 1e-4 of
  // what
  // it was. Gradients grow and shrink tenfold in a healthy run.
  private static final double VANISHED = 1e-6;
  private static final double VANISHED_OF_LARGEST = 1e-4;
  private static final double RECOVERY = 10;

  // The grey of the first steps has 0.03 and less; the ratio then climbs for thousands of steps, so
  // that a threshold much above 0.2 would blame generators that are only young.
  private static final double POOR_DIVERSITY = 0.2;
  private static final double SOUND_DIVERSITY = 0.3;
  private static final double POOR_COVERAGE = 0.5;
  private static final double SOUND_COVERAGE = 0.6;

  /** The ways to fail. */
  public enum Kind {
    NON_FINITE,
    SATURATED,
    VANISHED,
    COLLAPSED
  }

  /**
   * A failure begins or is over.
   *
   * @param begins false: it is over
   * @param step over all epochs, from 1
   * @param message one line with the figures, and with what to try where it begins
   */
  public record Warning(Kind kind, boolean begins, long step, String message) {}

  // Mutable state
  private final Set<Kind> raised = EnumSet.noneOf(Kind.class);
  private final Window discriminatorLoss = new Window(WINDOW);
  private final Window realScore = new Window(WINDOW);
  private final Window fakeScore = new Window(WINDOW);
  private final Window generatorGradient = new Window(WINDOW);
  private double largestGradient;
  private int finiteSteps;
  private boolean varied;
  private int poorEpochs;
  private int soundEpochs;

  /**
   * Takes in a step.
   *
   * @param step over all epochs, from 1
   * @return what begins or is over with this step; most often nothing
   */
  public List<Warning> onStep(long step, Figures figures) {
    List<Warning> warnings = new ArrayList<>();
    String nonFinite = nonFinite(figures);
    finiteSteps = nonFinite.isEmpty() ? finiteSteps + 1 : 0;
    judgeFinite(nonFinite, step, warnings);
    if (nonFinite.isEmpty()) {
      discriminatorLoss.add(figures.discriminatorLoss());
      realScore.add(figures.realScore());
      fakeScore.add(figures.fakeScore());
      generatorGradient.add(figures.generatorGradient());
      if (realScore.isFull()) {
        judgeSaturation(step, warnings);
        judgeGradient(step, warnings);
      }
    }
    return warnings;
  }

  /**
   * Takes in the end of an epoch.
   *
   * @param step the epoch's last
   * @param diversity how much the fixed latents' pictures differ, relative to real ones
   * @param coverage the share of the classes that the generator shows, where there are classes and
   *     it was measured
   * @return what begins or is over with this epoch; most often nothing
   */
  public List<Warning> onEpoch(long step, double diversity, OptionalDouble coverage) {
    List<Warning> warnings = new ArrayList<>();
    double covered = coverage.orElse(1);
    boolean poor = diversity < POOR_DIVERSITY || covered < POOR_COVERAGE;
    boolean sound = diversity >= SOUND_DIVERSITY && covered >= SOUND_COVERAGE;
    varied |= sound;
    if (varied || step >= WARM_UP) {
      poorEpochs = poor ? poorEpochs + 1 : 0;
      soundEpochs = sound ? soundEpochs + 1 : 0;
      judgeDiversity(describe(diversity, coverage), step, warnings);
    }
    return warnings;
  }

  private void judgeFinite(String nonFinite, long step, List<Warning> warnings) {
    if (begins(Kind.NON_FINITE, !nonFinite.isEmpty())) {
      String message = "not finite: %s; try a lower --learning-rate".formatted(nonFinite);
      warnings.add(new Warning(Kind.NON_FINITE, true, step, message));
    } else if (ends(Kind.NON_FINITE, finiteSteps >= WINDOW)) {
      String message = "all figures have been finite for %d steps".formatted(WINDOW);
      warnings.add(new Warning(Kind.NON_FINITE, false, step, message));
    }
  }

  private void judgeSaturation(long step, List<Warning> warnings) {
    if (begins(Kind.SATURATED, saturated(SATURATED))) {
      String message =
          "the discriminator is saturated, so that the generator learns little: %s;"
              + " try a lower --learning-rate or more pictures";
      warnings.add(new Warning(Kind.SATURATED, true, step, message.formatted(scores())));
    } else if (ends(Kind.SATURATED, !saturated(UNSATURATED))) {
      String message = "the discriminator is no longer saturated: " + scores();
      warnings.add(new Warning(Kind.SATURATED, false, step, message));
    }
  }

  private boolean saturated(double margin) {
    return (realScore.mean() > 1 - margin && fakeScore.mean() < margin)
        || discriminatorLoss.mean() < margin;
  }

  private String scores() {
    return "over %d steps D(x) averages %.4f, D(G(z)) %.4f, the discriminator's loss %.4f"
        .formatted(WINDOW, realScore.mean(), fakeScore.mean(), discriminatorLoss.mean());
  }

  private void judgeGradient(long step, List<Warning> warnings) {
    double mean = generatorGradient.mean();
    largestGradient = Math.max(largestGradient, mean);
    double least = Math.max(VANISHED, VANISHED_OF_LARGEST * largestGradient);
    if (begins(Kind.VANISHED, mean < least)) {
      String message =
          "the generator stands still: %s; go back to an earlier checkpoint, or try a lower"
              + " --learning-rate";
      warnings.add(new Warning(Kind.VANISHED, true, step, message.formatted(gradients())));
    } else if (ends(Kind.VANISHED, mean > RECOVERY * least)) {
      String message = "the generator moves again: " + gradients();
      warnings.add(new Warning(Kind.VANISHED, false, step, message));
    }
  }

  private String gradients() {
    return "over %d steps the norm of its gradient averages %.1e, at its largest it was %.1e"
        .formatted(WINDOW, generatorGradient.mean(), largestGradient);
  }

  private void judgeDiversity(String figures, long step, List<Warning> warnings) {
    if (begins(Kind.COLLAPSED, poorEpochs >= EPOCHS)) {
      String message =
          "the generator lacks variety (mode collapse): at the end of %d epochs %s; try another"
              + " --seed, a lower --learning-rate or a larger --batch-size";
      warnings.add(new Warning(Kind.COLLAPSED, true, step, message.formatted(EPOCHS, figures)));
    } else if (ends(Kind.COLLAPSED, soundEpochs >= EPOCHS)) {
      String message = "the generator is varied again: " + figures;
      warnings.add(new Warning(Kind.COLLAPSED, false, step, message));
    }
  }

  private static String describe(double diversity, OptionalDouble coverage) {
    String text = "its pictures vary %.2f times as much as real ones".formatted(diversity);
    return coverage.isEmpty()
        ? text
        : "%s and show %.0f%% of the classes".formatted(text, 100 * coverage.getAsDouble());
  }

  private boolean begins(Kind kind, boolean bad) {
    return bad && raised.add(kind);
  }

  private boolean ends(Kind kind, boolean clear) {
    return clear && raised.remove(kind);
  }

  /** The names and values of figures that are NaN or infinite; empty where all are finite. */
  private static String nonFinite(Figures figures) {
    StringJoiner found = new StringJoiner(", ");
    addNonFinite(found, "the discriminator's loss", figures.discriminatorLoss());
    addNonFinite(found, "the generator's loss", figures.generatorLoss());
    addNonFinite(found, "D(x)", figures.realScore());
    addNonFinite(found, "D(G(z))", figures.fakeScore());
    addNonFinite(found, "the norm of the generator's gradient", figures.generatorGradient());
    addNonFinite(
        found, "the norm of the discriminator's gradient", figures.discriminatorGradient());
    return found.toString();
  }

  private static void addNonFinite(StringJoiner found, String name, float value) {
    if (!Float.isFinite(value)) {
      found.add(name + " is " + value);
    }
  }
}
