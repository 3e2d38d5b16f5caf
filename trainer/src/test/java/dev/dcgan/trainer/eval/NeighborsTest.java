package dev.dcgan.trainer.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** Distances, and what precision, recall and memorisation make of them. */
class NeighborsTest {

  @Test
  void distances_acrossBlocks_areThoseOfTheDifferences() {
    // More than a block's rows: 2^22 / 3000 = 1398.
    Matrix from = uniform(1500, 5, 1);
    Matrix to = uniform(3000, 5, 2);
    int[] visits = new int[1];

    Distances.visit(
        from,
        to,
        (index, squared) -> {
          assertThat(index).isEqualTo(visits[0]++);
          assertThat(squared).hasSize(3000);
          for (int j = 0; j < squared.length; j += 499) {
            assertThat((double) squared[j])
                .isCloseTo(Distances.ofRows(from, index, to, j), within(1e-5));
          }
        });

    assertThat(visits[0]).isEqualTo(1500);
  }

  @Test
  void distances_betweenRowsOfOtherWidths_areRefused() {
    assertThatThrownBy(
            () -> Distances.visit(uniform(2, 3, 1), uniform(2, 4, 1), (index, squared) -> {}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("3 values; expected 4");
  }

  @Test
  void manifold_coversWhatLiesWithinTheThirdNeighborsDistance() {
    // The third neighbors' distances are 3, 2, 2, 3 and, of the outlier, 19.
    Manifold manifold = new Manifold(line(0, 1, 2, 3, 20));

    assertThat(manifold.fractionInside(line(-2.9f))).isEqualTo(1);
    assertThat(manifold.fractionInside(line(-3.1f))).isEqualTo(0);
    assertThat(manifold.fractionInside(line(38.9f))).isEqualTo(1);
    assertThat(manifold.fractionInside(line(39.1f))).isEqualTo(0);
    assertThat(manifold.fractionInside(line(-100, 0.5f, 100, 200))).isEqualTo(0.25);
  }

  @Test
  void manifold_ofFewPoints_takesTheFarthestNeighbor() {
    Manifold manifold = new Manifold(line(0, 1));

    assertThat(manifold.fractionInside(line(1.9f, 2.1f))).isEqualTo(0.5);
    assertThatThrownBy(() -> new Manifold(line(0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("at least 2");
  }

  @Test
  void manifolds_ofACollapsedSet_havePrecisionButNoRecall() {
    Matrix real = uniform(200, 2, 1);
    float[] copies = new float[2 * 100];
    for (int i = 0; i < copies.length; i++) {
      copies[i] = real.values()[i % 2];
    }
    Matrix collapsed = new Matrix(100, 2, copies);

    assertThat(new Manifold(real).fractionInside(collapsed)).isEqualTo(1);
    assertThat(new Manifold(collapsed).fractionInside(real)).isLessThan(0.02);
  }

  @Test
  void manifolds_ofASetBesidesTheReal_haveNeither() {
    Matrix real = uniform(200, 2, 1);
    float[] moved = uniform(200, 2, 2).values();
    for (int i = 0; i < moved.length; i++) {
      moved[i] += 10;
    }
    Matrix besides = new Matrix(200, 2, moved);

    assertThat(new Manifold(real).fractionInside(besides)).isZero();
    assertThat(new Manifold(besides).fractionInside(real)).isZero();
  }

  @Test
  void medianDistance_isThatToTheNearestTrainingImage() {
    NearestNeighbors neighbors = new NearestNeighbors(line(0, 10, 20));

    assertThat(neighbors.medianDistance(line(1, 12, 23))).isEqualTo(2);
    assertThat(neighbors.medianDistance(line(1, 12, 23, 24))).isEqualTo(2.5);
  }

  @Test
  void medianDistance_ofCopies_isZeroHoweverLongTheRows() {
    float[] values = uniform(50, 64, 1).values();
    for (int i = 0; i < values.length; i++) {
      values[i] += 1000;
    }
    Matrix training = new Matrix(50, 64, values);

    assertThat(new NearestNeighbors(training).medianDistance(training.first(20))).isZero();
  }

  private static Matrix line(float... points) {
    return new Matrix(points.length, 1, points);
  }

  private static Matrix uniform(int rows, int columns, long seed) {
    Random random = new Random(seed);
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    return new Matrix(rows, columns, values);
  }
}
