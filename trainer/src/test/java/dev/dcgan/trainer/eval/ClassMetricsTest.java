package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class ClassMetricsTest {

  @Test
  void of_imagesInTheDataOwnShares_hasNoDivergence() {
    ClassMetrics metrics = ClassMetrics.of(probabilities(0, 0, 0, 1), new double[] {0.75, 0.25});

    assertThat(metrics.klDivergence()).isZero();
    assertThat(metrics.modesCovered()).isEqualTo(2);
    assertThat(metrics.confidence()).isCloseTo(0.9, within(1e-6));
  }

  @Test
  void of_imagesOfOneClass_divergesByTheLogarithmOfItsShare() {
    ClassMetrics metrics = ClassMetrics.of(probabilities(1, 1, 1), new double[] {0.75, 0.25});

    assertThat(metrics.klDivergence()).isCloseTo(Math.log(4), within(1e-12));
    assertThat(metrics.modesCovered()).isEqualTo(1);
  }

  @Test
  void of_otherShares_divergesByTheKnownFigure() {
    ClassMetrics metrics = ClassMetrics.of(probabilities(0, 1, 1, 1), new double[] {0.5, 0.5});

    assertThat(metrics.klDivergence())
        .isCloseTo(0.25 * Math.log(0.5) + 0.75 * Math.log(1.5), within(1e-12));
  }

  @Test
  void of_aClassBelowATenthOfItsShare_isNotCovered() {
    // 1 and 2 of 40: a tenth of the share of a half is 2.
    int[] once = new int[40];
    once[0] = 1;
    int[] twice = once.clone();
    twice[1] = 1;
    double[] halves = {0.5, 0.5};

    assertThat(ClassMetrics.of(probabilities(once), halves).modesCovered()).isEqualTo(1);
    assertThat(ClassMetrics.of(probabilities(twice), halves).modesCovered()).isEqualTo(2);
  }

  /** 0.9 for the class of each row, of two. */
  private static Matrix probabilities(int... classes) {
    float[] values = new float[2 * classes.length];
    for (int i = 0; i < classes.length; i++) {
      values[2 * i + classes[i]] = 0.9f;
      values[2 * i + 1 - classes[i]] = 0.1f;
    }
    return new Matrix(classes.length, 2, values);
  }
}
