package dev.dcgan.sampler.core;

import static org.assertj.core.api.Assertions.assertThat;

import dev.dcgan.latent.Labels;
import dev.dcgan.model.ImageClasses;
import dev.dcgan.sampler.models.LabelChoice;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class LabelSourceTest {

  private static final ImageClasses PETS =
      new ImageClasses(List.of("cat", "2", "dog"), List.of(5L, 1L, 4L));

  @Test
  void ofSeeds_isTheSame_inEveryPiece() {
    List<Long> seeds = List.of(5L, -1L, 5L, 9L);
    LabelChoice choice = LabelChoice.of(Optional.of(PETS), List.of());
    LabelSource source = LabelSource.ofSeeds(seeds, 100, 7, choice);

    long[] all = source.labels(0, 28);
    for (int i = 0; i < 28; i++) {
      assertThat(all[i]).isEqualTo(PETS.draw(seeds.get(i / 7), 100 + i % 7));
    }
    for (int first = 0; first < 28; first++) {
      for (int count = 1; first + count <= 28; count++) {
        assertThat(source.labels(first, count))
            .isEqualTo(Arrays.copyOfRange(all, first, first + count));
      }
    }
  }

  @Test
  void ofSeeds_withoutClasses_isNone() {
    LabelChoice choice = LabelChoice.of(Optional.empty(), List.of());

    assertThat(LabelSource.ofSeeds(List.of(1L), 0, 5, choice)).isSameAs(LabelSource.NONE);
    assertThat(LabelSource.NONE.labels(0, 5)).isEmpty();
  }

  @Test
  void of_isOneLabelForAll_orOneForEach() {
    assertThat(LabelSource.of(new long[] {2}).labels(4, 3)).containsExactly(2, 2, 2);
    assertThat(LabelSource.of(new long[] {2, 1, 0, 1}).labels(1, 2)).containsExactly(1, 0);
  }

  @Test
  void between_isExactAtItsEnds_forAnyCount() {
    for (long count : new long[] {2, 3, 65_537, 0xFFFF_FFFFL}) {
      LabelSource way = LabelSource.between(1, 2, count, 3);
      assertThat(way.labels(0, 1)).containsExactly(1);
      assertThat(way.labels(count - 1, 1)).containsExactly(2);
    }
    assertThat(LabelSource.between(1, 2, 65_537, 3).labels(1, 2))
        .containsExactly(Labels.mixture(1, 2, 1, 3), Labels.mixture(1, 2, 2, 3));
    assertThat(LabelSource.between(0, 2, 3, 3).labels(0, 3))
        .containsExactly(0, Labels.mixture(0, 2, 1 << 15, 3), 2);
    assertThat(LabelSource.between(2, 2, 4, 3).labels(0, 4)).containsOnly(2);
  }
}
