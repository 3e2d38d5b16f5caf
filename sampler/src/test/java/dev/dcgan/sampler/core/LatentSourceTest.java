package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.dcgan.latent.Latents;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class LatentSourceTest {

  private static final int SIZE = 64;

  @Test
  void ofSeed_followsTheLaw_scaledByTheTemperature() {
    float[] cool = LatentSource.ofSeed(-1, 0.25f).latents(7, 1, SIZE);
    float[] law = Latents.of(-1, 7, SIZE);
    for (int i = 0; i < SIZE; i++) {
      assertThat(cool[i]).isEqualTo(law[i] * 0.25f);
    }
    assertThat(LatentSource.ofSeed(-1, 1).latents(7, 1, SIZE)).isEqualTo(law);
  }

  @Test
  void arc_endsAreTheTwo_bitForBit() {
    float[] from = Latents.of(1, 0, SIZE);
    float[] to = Latents.of(2, 9, SIZE);
    LatentSource arc = LatentSource.arc(from, to, 7);
    assertThat(arc.latents(0, 1, SIZE)).isEqualTo(from);
    assertThat(arc.latents(6, 1, SIZE)).isEqualTo(to);
    assertThat(LatentSource.arc(from, to, 2).latents(1, 1, SIZE)).isEqualTo(to);
  }

  @Test
  void arc_ofEqualLengths_keepsTheLength_withEqualAngles() {
    float[] from = scaledTo(5, Latents.of(1, 0, SIZE));
    float[] to = scaledTo(5, Latents.of(2, 0, SIZE));
    LatentSource arc = LatentSource.arc(from, to, 9);
    double step = angle(from, to) / 8;
    assertThat(step).isGreaterThan(0.1);
    for (int i = 1; i < 9; i++) {
      float[] z = arc.latents(i, 1, SIZE);
      assertThat(norm(z)).isCloseTo(5, within(1e-5));
      assertThat(angle(arc.latents(i - 1, 1, SIZE), z)).isCloseTo(step, within(1e-5));
    }
  }

  @Test
  void arc_betweenTwoOfOtherLengths_goesThroughLengthsOfTheirKind() {
    float[] from = scaledTo(4, Latents.of(1, 0, SIZE));
    float[] to = scaledTo(8, Latents.of(2, 0, SIZE));
    for (int i = 0; i < 9; i++) {
      assertThat(norm(LatentSource.arc(from, to, 9).latents(i, 1, SIZE)))
          .as("no detour past the mean, as the straight line takes")
          .isBetween(3.99, 9.0);
    }
  }

  @Test
  void arc_fromAPointToItself_staysThere() {
    float[] z = Latents.of(3, 3, SIZE);
    LatentSource arc = LatentSource.arc(z, z.clone(), 5);
    for (int i = 0; i < 5; i++) {
      assertThat(arc.latents(i, 1, SIZE)).isEqualTo(z);
    }
  }

  @Test
  void arc_betweenOpposites_isTheStraightLine() {
    float[] from = Latents.of(3, 3, SIZE);
    float[] to = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      to[i] = -from[i];
    }
    LatentSource arc = LatentSource.arc(from, to, 5);
    assertThat(arc.latents(2, 1, SIZE)).containsOnly(0f);
    for (int i = 0; i < SIZE; i++) {
      assertThat(arc.latents(1, 1, SIZE)[i]).isEqualTo(from[i] / 2);
    }
    assertThat(arc.latents(4, 1, SIZE)).isEqualTo(to);
  }

  @Test
  void arc_withZeros_isFinite() {
    float[] zero = new float[SIZE];
    float[] z = Latents.of(3, 3, SIZE);
    for (float value : LatentSource.arc(zero, z, 4).latents(0, 4, SIZE)) {
      assertThat(value).isFinite();
    }
  }

  private static float[] scaledTo(double length, float[] z) {
    float[] scaled = Arrays.copyOf(z, z.length);
    double norm = norm(z);
    for (int i = 0; i < z.length; i++) {
      scaled[i] = (float) (z[i] * length / norm);
    }
    return scaled;
  }

  private static double norm(float[] z) {
    return Math.sqrt(dot(z, z));
  }

  private static double angle(float[] a, float[] b) {
    return Math.acos(Math.min(1, dot(a, b) / norm(a) / norm(b)));
  }

  private static double dot(float[] a, float[] b) {
    double dot = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
    }
    return dot;
  }
}
