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

  private final TrainingMonitor monitor = new TrainingMonitor(1_000_000);
  private final List<Warning> warnings = new ArrayList<>();
  private long step;

  @Test
  void healthyMetrics_warnOfNothing() {
    steps(10 * WINDOW, HEALTHY, 0.5f);
    epochs(10, 0.85);

    assertThat(warnings).isEmpty();
  }

  @Test
  void shortRun_thatEndsCollapsed_warnsAtItsLastEpoch() {
    TrainingMonitor ofShortRun = new TrainingMonitor(75);

    assertThat(ofShortRun.onEpoch(72, 0.02, OptionalDouble.empty())).isEmpty();
    Warning warning = ofShortRun.onEpoch(75, 0.02, OptionalDouble.empty()).get(0);
    assertThat(warning.kind()).isEqualTo(Kind.COLLAPSED);
    assertThat(warning.message()).contains("75 steps", "0.02", "--epochs");
  }

  @Test
  void shortRun_ofOneDiverseEpoch_warnsOfNothing() {
    assertThat(new TrainingMonitor(75).onEpoch(75, 0.8, OptionalDouble.empty())).isEmpty();
  }

  @Test
  void shortRun_hasAWindowOfAFifth() {
    TrainingMonitor ofShortRun = new TrainingMonitor(75);
    List<Warning> found = new ArrayList<>();
    for (int step = 1; step <= 15; step++) {
      assertThat(found).isEmpty();
      found.addAll(ofShortRun.onStep(step, SATURATED));
    }

    assertThat(found).singleElement().extracting(Warning::kind).isEqualTo(Kind.SATURATED);
    assertThat(found.get(0).message()).contains("15 steps");
  }

  @Test
  void saturated_warnsOnce_withTheLastStepOfTheFirstFullWindow() {
    steps(WINDOW - 1, SATURATED, 1);
    assertThat(warnings).isEmpty();

    steps(1, SATURATED, 1);
    assertWarning(true, Kind.SATURATED, WINDOW);
    assertThat(warnings.get(0).message())
        .contains("D(x) 0.9950", "D(G(z)) 0.0050", "loss 0.0050", "--learning-rate");

    steps(5 * WINDOW, SATURATED, 1);
    assertThat(warnings).hasSize(1);
  }

  @Test
  void saturated_ends_onlyClearOfTheThreshold() {
    steps(WINDOW, SATURATED, 1);
    steps(3 * WINDOW, NEAR, 1);
    assertThat(warnings).hasSize(1);

    // With k healthy steps in the window the loss averages above 0.02 from k = 3 on, and D(G(z))
    // from k = 5 on: ((200 - k) 0.015 + k 0.25) / 200.
    steps(4, HEALTHY, 1);
    assertThat(warnings).hasSize(1);
    steps(1, HEALTHY, 1);
    assertThat(warnings).hasSize(2);
    Warning over = warnings.get(1);
    assertThat(over.kind()).isEqualTo(Kind.SATURATED);
    assertThat(over.begins()).isFalse();
    assertThat(over.step()).isEqualTo(4L * WINDOW + 5);
    assertThat(over.message()).contains("no longer saturated", "over 200 steps");
  }

  @Test
  void saturated_hoveringAtTheThreshold_warnsOnce() {
    for (int i = 0; i < 20; i++) {
      steps(WINDOW, SATURATED, 1);
      steps(WINDOW, NEAR, 1);
    }

    assertWarning(true, Kind.SATURATED, WINDOW);
  }

  @Test
  void saturated_again_warnsAgain() {
    steps(WINDOW, SATURATED, 1);
    steps(WINDOW, HEALTHY, 1);
    steps(WINDOW, SATURATED, 1);

    assertThat(warnings).extracting(Warning::begins).containsExactly(true, false, true);
    // With 4 healthy steps left in the window D(G(z)) averages 0.0099.
    assertThat(warnings.get(2).step()).isEqualTo(3L * WINDOW - 4);
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

    assertThat(!warnings.isEmpty()).isEqualTo(warns);
  }

  @Test
  void vanished_belowTheMinimum_warns_andEndsAtTenTimes() {
    steps(WINDOW, HEALTHY, 0.9e-6f);
    assertWarning(true, Kind.VANISHED, WINDOW);
    assertThat(warnings.get(0).message()).contains("over 200 steps 9.0e-07", "checkpoint");

    steps(WINDOW, HEALTHY, 9e-6f);
    assertThat(warnings).hasSize(1);
    steps(WINDOW, HEALTHY, 11e-6f);
    assertThat(warnings).extracting(Warning::begins).containsExactly(true, false);
    assertThat(warnings.get(1).message()).contains("recovered");
  }

  @Test
  void vanished_belowTheLargestMean_warns() {
    steps(WINDOW, HEALTHY, 10);
    steps(WINDOW - 1, HEALTHY, 0.5e-3f);
    assertThat(warnings).isEmpty(); // One step of 10 is left in the window: the mean is 0.05.

    steps(1, HEALTHY, 0.5e-3f);
    assertWarning(true, Kind.VANISHED, 2L * WINDOW);
  }

  @Test
  void vanished_afterOneHugeStep_staysSilent() {
    steps(WINDOW, HEALTHY, 0.5f);
    steps(1, HEALTHY, 10_000); // The mean of its window is 50; 1e-4 of that is 0.005.
    steps(5 * WINDOW, HEALTHY, 0.5f);

    assertThat(warnings).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4, 5})
  void nonFinite_warnsAtOnce_namingTheMetric(int which) {
    float[] values = {0.4f, 1.5f, 0.75f, 0.25f, 1, 1};
    values[which] = which % 2 == 0 ? Float.NaN : Float.NEGATIVE_INFINITY;
    String[] names = {
      "discriminator loss is NaN",
      "generator loss is -Infinity",
      "D(x) is NaN",
      "D(G(z)) is -Infinity",
      "generator gradient norm is NaN",
      "discriminator gradient norm is -Infinity"
    };

    warnings.addAll(
        monitor.onStep(
            7, new Metrics(values[0], values[1], values[2], values[3], values[5], values[4])));

    assertWarning(true, Kind.NON_FINITE, 7);
    assertThat(warnings.get(0).message()).contains(names[which], "--learning-rate");
  }

  @Test
  void nonFinite_endsAfterAWindowOfFiniteSteps_withoutFlapping() {
    for (int i = 0; i < 20; i++) {
      steps(1, HEALTHY, Float.NaN);
      steps(WINDOW - 1, HEALTHY, 1);
    }
    assertWarning(true, Kind.NON_FINITE, 1);

    steps(1, HEALTHY, 1);
    assertThat(warnings).extracting(Warning::begins).containsExactly(true, false);
    assertThat(warnings.get(1).step()).isEqualTo(20L * WINDOW + 1);
  }

  @Test
  void nonFinite_isIgnoredByOtherMeans() {
    steps(WINDOW - 1, SATURATED, 1);
    steps(1, SATURATED, Float.POSITIVE_INFINITY);
    assertWarning(true, Kind.NON_FINITE, WINDOW);

    steps(1, SATURATED, 1);
    assertThat(warnings).hasSize(2);
    assertThat(warnings.get(1).kind()).isEqualTo(Kind.SATURATED);
    assertThat(warnings.get(1).step()).isEqualTo(WINDOW + 1L);
  }

  @Test
  void collapsed_warnsOnce_atTheSecondConsecutiveEpoch() {
    epochs(1, 0.19);
    epochs(1, 0.25); // Neither collapsed nor recovered: the count restarts.
    epochs(1, 0.19);
    assertThat(warnings).isEmpty();

    epochs(5, 0.19);
    assertWarning(true, Kind.COLLAPSED, WARM_UP + 3);
    assertThat(warnings.get(0).message())
        .contains("mode collapse", "2 epochs", "diversity 0.19", "--seed");
  }

  @Test
  void collapsed_ends_atTheSecondRecoveredEpoch() {
    epochs(2, 0.1);
    epochs(4, 0.25);
    epochs(1, 0.3);
    epochs(1, 0.25);
    epochs(1, 0.3);
    assertThat(warnings).hasSize(1);

    epochs(1, 0.3);
    assertThat(warnings).extracting(Warning::begins).containsExactly(true, false);
    assertThat(warnings.get(1).message()).contains("ended", "diversity 0.30");
  }

  @Test
  void collapsed_exactlyAtTheThreshold_staysSilent() {
    epochs(5, 0.2);

    assertThat(warnings).isEmpty();
  }

  @Test
  void collapsed_flappingEachEpoch_warnsOnce() {
    epochs(2, 0.1);
    for (int i = 0; i < 20; i++) {
      epochs(1, 0.9);
      epochs(1, 0.1);
    }

    assertThat(warnings).hasSize(1);
  }

  @Test
  void collapsed_whenMostClassesAreMissing_warns() {
    OptionalDouble few = OptionalDouble.of(0.4);
    warnings.addAll(monitor.onEpoch(WARM_UP, 0.9, OptionalDouble.of(0.5)));
    warnings.addAll(monitor.onEpoch(WARM_UP + 1, 0.9, few));
    assertThat(warnings).isEmpty();

    warnings.addAll(monitor.onEpoch(WARM_UP + 2, 0.9, few));
    assertWarning(true, Kind.COLLAPSED, WARM_UP + 2);
    assertThat(warnings.get(0).message()).contains("diversity 0.90", "coverage 40%");
  }

  @Test
  void collapsed_afterADiverseEpoch_countsFromThere() {
    for (double ratio : new double[] {0.01, 0.01, 0.3, 0.1}) {
      warnings.addAll(monitor.onEpoch(++step, ratio, OptionalDouble.empty()));
    }
    assertThat(warnings).isEmpty();

    warnings.addAll(monitor.onEpoch(++step, 0.1, OptionalDouble.empty()));
    assertWarning(true, Kind.COLLAPSED, 5);
  }

  @Test
  void collapsed_beforeADiverseEpoch_countsFromTheWarmUp() {
    for (long early = WARM_UP - 10; early <= WARM_UP; early++) {
      warnings.addAll(monitor.onEpoch(early, 0.01, OptionalDouble.empty()));
    }
    assertThat(warnings).isEmpty(); // The last of them is the first to count.

    warnings.addAll(monitor.onEpoch(WARM_UP + 1, 0.01, OptionalDouble.empty()));
    assertWarning(true, Kind.COLLAPSED, WARM_UP + 1);
  }

  private void steps(int count, Metrics metrics, float generatorGradient) {
    for (int i = 0; i < count; i++) {
      warnings.addAll(
          monitor.onStep(
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
      warnings.addAll(monitor.onEpoch(WARM_UP + step++, ratio, OptionalDouble.empty()));
    }
  }

  /** Asserts that there is exactly one warning. */
  private void assertWarning(boolean begins, Kind kind, long atStep) {
    assertThat(warnings).hasSize(1);
    assertThat(warnings.get(0).begins()).isEqualTo(begins);
    assertThat(warnings.get(0).kind()).isEqualTo(kind);
    assertThat(warnings.get(0).step()).isEqualTo(atStep);
  }
}
