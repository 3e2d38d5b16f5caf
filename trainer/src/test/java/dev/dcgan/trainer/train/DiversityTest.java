package dev.dcgan.trainer.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

class DiversityTest {

  private static final byte[] BLACK = {0, 0};
  private static final byte[] GREY = {100, 100};
  private static final byte[] WHITE = {(byte) 255, (byte) 255};

  @Test
  void of_averagesTheDistancesOfAllPairs() {
    Diversity diversity = Diversity.of(List.of(BLACK, GREY, WHITE), List.of(BLACK, WHITE));

    assertThat(diversity.generated()).isEqualTo((100 + 255 + 155) / 3.0, within(1e-12));
    assertThat(diversity.real()).isEqualTo(255, within(1e-12));
    assertThat(diversity.ratio()).isEqualTo(2 / 3.0, within(1e-12));
    assertThat(diversity.coverage()).isEmpty();
  }

  @Test
  void of_takesTheRootMeanSquareOverAPicturesValues() {
    Diversity diversity =
        Diversity.of(List.of(new byte[] {3, 0}, new byte[] {0, 4}), List.of(BLACK, WHITE));

    assertThat(diversity.generated()).isEqualTo(Math.sqrt(25 / 2.0), within(1e-12));
  }

  @Test
  void ratio_ofOnePictureManyTimes_is0() {
    assertThat(Diversity.of(List.of(GREY, GREY), List.of(BLACK, WHITE)).ratio()).isZero();
  }

  @Test
  void ratio_whereAllRealPicturesAreTheSame_is1() {
    assertThat(Diversity.of(List.of(GREY, GREY), List.of(BLACK, BLACK)).ratio()).isEqualTo(1);
  }

  @Test
  void of_onePicture_refuses() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Diversity.of(List.of(GREY), List.of(BLACK, WHITE)))
        .withMessage("1 pictures; a distance needs 2 or more");
  }

  @Test
  void of_picturesOfTwoSizes_refuses() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Diversity.of(List.of(GREY, new byte[3]), List.of(BLACK, WHITE)))
        .withMessageContaining("expected one size");
  }

  @Test
  void new_whereAFigureIsOutOfRange_refuses() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Diversity(Double.NaN, 1, OptionalDouble.empty()));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Diversity(1, -1, OptionalDouble.empty()));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Diversity(1, 1, OptionalDouble.of(1.1)))
        .withMessage("coverage 1.1; expected 0 to 1");
  }
}
