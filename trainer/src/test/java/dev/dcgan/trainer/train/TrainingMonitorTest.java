package dev.dcgan.trainer.train;

import static dev.dcgan.trainer.train.TrainingMonitor.WARM_UP;
import static dev.dcgan.trainer.train.TrainingMonitor.WINDOW;
import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.trainer.train.TrainingListener.Metrics;
import dev.dcgan.trainer.train.TrainingMonitor.Kind;
import dev.dcgan.trainer.train.TrainingMonitor.Warning;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainingMonitorTest {

  private static final Metrics HEALTHY = new Metrics(0.4f, 1.5f, 0.75f, 0.25f, 1, 1);
  private static final Metrics SATURATED = new Metrics(0.005f, 6, 0.995f, 0.005f, 1, 1);

  /** Between the thresholds of begin and end. */
  private static final Metrics NEAR = new Metrics(0.015f, 5, 0.985f, 0.015f, 1, 1);

  private final TrainingMonitor watchdog = new TrainingMonitor();
  private final List<Warning> heard = new ArrayList<>();
  private long step;

  @Test
  void healthyMetrics_warnOfNothing() {
    steps(10 * WINDOW, HEALTHY, 0.5f);
    epochs(10, 0.85);

    assertThat(heard).isEmpty();
  }

  @Test
  void saturated_warnsOnce_withTheLastStepOfTheFirstFullWindow() {
    steps(WINDOW - 1, SATURATED, 1);
    assertThat(heard).isEmpty();

    steps(1, SATURATED, 1);
    assertHeard(true, Kind.SATURATED, WINDOW);
    assertThat(heard.get(0).message())
        .isEqualTo(
            "the discriminator is saturated, so that the generator learns little: over 200 steps"
                + " D(x) averages 0.9950, D(G(z)) 0.0050, the discriminator's loss 0.0050; try a"
                + " lower --learning-rate or more images");

    steps(5 * WINDOW, SATURATED, 1);
    assertThat(heard).hasSize(1);
  }

  @Test
  void saturated_isOver_onlyOnceTheMeansAreWellClear() {
    steps(WINDOW, SATURATED, 1);
    steps(3 * WINDOW, NEAR, 1);
    assertThat(heard).hasSize(1);

    // With k healthy steps in the window the loss averages above 0.02 from k = 3 on, and D(G(z))
    // from k = 5 on: ((200 - k) 0.015 + k 0.25) / 200.
    steps(4, HEALTHY, 1);
    assertThat(heard).hasSize(1);
    steps(1, HEALTHY, 1);
    assertThat(heard).hasSize(2);
    Warning over = heard.get(1);
    assertThat(over.kind()).isEqualTo(Kind.SATURATED);
    assertThat(over.begins()).isFalse();
    assertThat(over.step()).isEqualTo(4L * WINDOW + 5);
    assertThat(over.message()).startsWith("the discriminator is no longer saturated: over 200");
  }

  @Test
  void saturated_hoveringAtTheThreshold_warnsOnce() {
    for (int i = 0; i < 20; i++) {
      steps(WINDOW, SATURATED, 1);
      steps(WINDOW, NEAR, 1);
    }

    assertHeard(true, Kind.SATURATED, WINDOW);
  }

  @Test
  void saturated_again_warnsAgain() {
    steps(WINDOW, SATURATED, 1);
    steps(WINDOW, HEALTHY, 1);
    steps(WINDOW, SATURATED, 1);

    assertThat(heard).extracting(Warning::begins).containsExactly(true, false, true);
    // With 4 healthy steps left in the window D(G(z)) averages 0.0099.
    assertThat(heard.get(2).step()).isEqualTo(3L * WINDOW - 4);
  }

  @ParameterizedTest
  @CsvSource({
    "0.500, 0.995, 0.005, true", // both scores
    "0.500, 0.995, 0.015, false", // D is wrong about fakes
    "0.500, 0.985, 0.005, false", // D is wrong about reals
    "0.005, 0.700, 0.300, true", // the loss alone
    "0.011, 0.700, 0.300, false"
  })
  void saturated_needsBothScores_orTheLoss(
      float loss, float realScore, float fakeScore, boolean warns) {
    steps(WINDOW, new Metrics(loss, 1, realScore, fakeScore, 1, 1), 1);

    assertThat(!heard.isEmpty()).isEqualTo(warns);
  }

  @Test
  void vanished_belowTheMinimum_warns_andEndsAtTenTimes() {
    steps(WINDOW, HEALTHY, 0.9e-6f);
    assertHeard(true, Kind.VANISHED, WINDOW);
    assertThat(heard.get(0).message())
        .startsWith("the generator stands still: over 200 steps the norm of its gradient averages");

    steps(WINDOW, HEALTHY, 9e-6f);
    assertThat(heard).hasSize(1);
    steps(WINDOW, HEALTHY, 11e-6f);
    assertThat(heard).extracting(Warning::begins).containsExactly(true, false);
    assertThat(heard.get(1).message()).startsWith("the generator moves again: ");
  }

  @Test
  void vanished_whenTheNormIsTinyBesideWhatItWas_warns() {
    steps(WINDOW, HEALTHY, 10);
    steps(WINDOW - 1, HEALTHY, 0.5e-3f);
    assertThat(heard).isEmpty(); // One step of 10 is left in the window: the mean is 0.05.

    steps(1, HEALTHY, 0.5e-3f);
    assertHeard(true, Kind.VANISHED, 2L * WINDOW);
  }

  @Test
  void vanished_afterOneHugeStep_staysSilent() {
    steps(WINDOW, HEALTHY, 0.5f);
    steps(1, HEALTHY, 10_000); // The mean of its window is 50; 1e-4 of that is 0.005.
    steps(5 * WINDOW, HEALTHY, 0.5f);

    assertThat(heard).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5})
  void nonFinite_warnsAtOnce_namingTheFigure(int which) {
    float[] values = {0.4f, 1.5f, 0.75f, 0.25f, 1, 1};
    values[which] = which % 2 == 0 ? Float.NaN : Float.NEGATIVE_INFINITY;
    String[] names = {
      "the discriminator's loss is NaN",
      "the generator's loss is -Infinity",
      "D(x) is NaN",
      "D(G(z)) is -Infinity",
      "the norm of the generator's gradient is NaN",
      "the norm of the discriminator's gradient is -Infinity"
    };

    heard.addAll(
        watchdog.onStep(
            7, new Metrics(values[0], values[1], values[2], values[3], values[5], values[4])));

    assertHeard(true, Kind.NON_FINITE, 7);
    assertThat(heard.get(0).message())
        .isEqualTo("not finite: " + names[which] + "; try a lower --learning-rate");
  }

  @Test
  void nonFinite_endsAfterAWindowOfFiniteSteps_withoutFlapping() {
    for (int i = 0; i < 20; i++) {
      steps(1, HEALTHY, Float.NaN);
      steps(WINDOW - 1, HEALTHY, 1);
    }
    assertHeard(true, Kind.NON_FINITE, 1);

    steps(1, HEALTHY, 1);
    assertThat(heard).extracting(Warning::begins).containsExactly(true, false);
    assertThat(heard.get(1).step()).isEqualTo(20L * WINDOW + 1);
  }

  @Test
  void nonFinite_spoilsNoOtherMean() {
    steps(WINDOW - 1, SATURATED, 1);
    steps(1, SATURATED, Float.POSITIVE_INFINITY);
    assertHeard(true, Kind.NON_FINITE, WINDOW);

    steps(1, SATURATED, 1);
    assertThat(heard).hasSize(2);
    assertThat(heard.get(1).kind()).isEqualTo(Kind.SATURATED);
    assertThat(heard.get(1).step()).isEqualTo(WINDOW + 1L);
  }

  @Test
  void collapsed_warnsOnce_atTheSecondPoorEpochRunning() {
    epochs(1, 0.19);
    epochs(1, 0.25); // Neither poor nor sound: the count begins anew.
    epochs(1, 0.19);
    assertThat(heard).isEmpty();

    epochs(5, 0.19);
    assertHeard(true, Kind.COLLAPSED, WARM_UP + 3);
    assertThat(heard.get(0).message())
        .startsWith(
            "the generator lacks variety (mode collapse): at the end of 2 epochs its images vary"
                + " 0.19 times as much as real ones; try ");
  }

  @Test
  void collapsed_isOver_atTheSecondSoundEpochRunning() {
    epochs(2, 0.1);
    epochs(4, 0.25);
    epochs(1, 0.3);
    epochs(1, 0.25);
    epochs(1, 0.3);
    assertThat(heard).hasSize(1);

    epochs(1, 0.3);
    assertThat(heard).extracting(Warning::begins).containsExactly(true, false);
    assertThat(heard.get(1).message())
        .isEqualTo(
            "the generator is varied again: its images vary 0.30 times as much as real ones");
  }

  @Test
  void collapsed_exactlyAtTheThreshold_staysSilent() {
    epochs(5, 0.2);

    assertThat(heard).isEmpty();
  }

  @Test
  void collapsed_flappingEachEpoch_warnsOnce() {
    epochs(2, 0.1);
    for (int i = 0; i < 20; i++) {
      epochs(1, 0.9);
      epochs(1, 0.1);
    }

    assertThat(heard).hasSize(1);
  }

  @Test
  void collapsed_whenMostClassesAreMissing_warns() {
    OptionalDouble few = OptionalDouble.of(0.4);
    heard.addAll(watchdog.onEpoch(WARM_UP, 0.9, OptionalDouble.of(0.5)));
    heard.addAll(watchdog.onEpoch(WARM_UP + 1, 0.9, few));
    assertThat(heard).isEmpty();

    heard.addAll(watchdog.onEpoch(WARM_UP + 2, 0.9, few));
    assertHeard(true, Kind.COLLAPSED, WARM_UP + 2);
    assertThat(heard.get(0).message())
        .contains("vary 0.90 times as much as real ones and show 40% of the classes");
  }

  @Test
  void collapsed_afterASoundEpoch_countsFromThere_howeverEarly() {
    for (double ratio : new double[] {0.01, 0.01, 0.3, 0.1}) {
      heard.addAll(watchdog.onEpoch(++step, ratio, OptionalDouble.empty()));
    }
    assertThat(heard).isEmpty();

    heard.addAll(watchdog.onEpoch(++step, 0.1, OptionalDouble.empty()));
    assertHeard(true, Kind.COLLAPSED, 5);
  }

  @Test
  void collapsed_beforeASoundEpoch_countsFromTheWarmUpsEnd() {
    for (long early = WARM_UP - 10; early <= WARM_UP; early++) {
      heard.addAll(watchdog.onEpoch(early, 0.01, OptionalDouble.empty()));
    }
    assertThat(heard).isEmpty(); // The last of them is the first to count.

    heard.addAll(watchdog.onEpoch(WARM_UP + 1, 0.01, OptionalDouble.empty()));
    assertHeard(true, Kind.COLLAPSED, WARM_UP + 1);
  }

  private void steps(int count, Metrics metrics, float generatorGradient) {
    for (int i = 0; i < count; i++) {
      heard.addAll(
          watchdog.onStep(
              ++step,
              new Metrics(
                  metrics.discriminatorLoss(),
                  metrics.generatorLoss(),
                  metrics.realScore(),
                  metrics.fakeScore(),
                  1,
                  generatorGradient)));
    }
  }

  /** Epochs after the warm-up, of one step each. */
  private void epochs(int count, double ratio) {
    for (int i = 0; i < count; i++) {
      heard.addAll(watchdog.onEpoch(WARM_UP + step++, ratio, OptionalDouble.empty()));
    }
  }

  /** Nothing but this. */
  private void assertHeard(boolean begins, Kind kind, long atStep) {
    assertThat(heard).hasSize(1);
    assertThat(heard.get(0).begins()).isEqualTo(begins);
    assertThat(heard.get(0).kind()).isEqualTo(kind);
    assertThat(heard.get(0).step()).isEqualTo(atStep);
  }
}
