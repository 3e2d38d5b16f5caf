package dev.dcgan.sampler.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShardsTest {

  @Test
  void shards_haveAllImages_inOrder_theLastTheRest() {
    Shards shards = new Shards(5, 23, 10);
    assertThat(shards.number()).isEqualTo(3);
    assertThat(List.of(shards.images(0), shards.images(1), shards.images(2)))
        .containsExactly(new Range(5, 10), new Range(15, 10), new Range(25, 3));
    assertThat(new Shards(0, 20, 10).number()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7, 10, 11, 50, 1_000_000})
  void parts_haveEveryShardOnce_inBlocks_thatDifferByOneAtMost(int parts) {
    Shards shards = new Shards(0, 99, 10);
    List<Integer> all = new ArrayList<>();
    for (int part = 0; part < parts; part++) {
      int begin = shards.begin(part, parts);
      int end = shards.begin(part + 1, parts);
      assertThat(end - begin).isBetween(10 / parts, 10 / parts + 1);
      for (int shard = begin; shard < end; shard++) {
        all.add(shard);
      }
    }
    assertThat(all).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  }

  @Test
  void pieces_ofARange_areAllOfIt() {
    Range range = new Range(-3, 7); // Across 2^64 - 1 as signed numbers have it.
    assertThat(range.pieces(3)).isEqualTo(3);
    assertThat(List.of(range.piece(0, 3), range.piece(1, 3), range.piece(2, 3)))
        .containsExactly(new Range(-3, 3), new Range(0, 3), new Range(3, 1));
  }

  @Test
  void aSequence_endsWithTheLargestUint64() {
    Shards last = new Shards(-5, 5, 2);
    assertThat(last.images(2)).isEqualTo(new Range(-1, 1));
    assertThat(Shards.problems(-5, 6, 2))
        .singleElement(InstanceOfAssertFactories.STRING)
        .contains("--first 18446744073709551611", "--count 6", "18446744073709551615");
    assertThatThrownBy(() -> new Shards(-5, 6, 2)).isInstanceOf(IllegalArgumentException.class);
    assertThat(Shards.problems(Long.MAX_VALUE, Long.MAX_VALUE, Shards.MAX_SHARD_IMAGES))
        .as("no wrap of signed numbers, but far too many")
        .singleElement(InstanceOfAssertFactories.STRING)
        .contains("expected at most 1000000 shards");
  }

  @Test
  void numberOfShards_isLimitedToSixDigits() {
    assertThat(new Shards(0, 1_000_000, 1).number()).isEqualTo(1_000_000);
    assertThat(Shards.problems(0, 1_000_001, 1))
        .singleElement(InstanceOfAssertFactories.STRING)
        .contains("--count 1000001", "--shard-images 1", "at most 1000000 shards");
    Shards largest = new Shards(0, 10_000_000_000_000L, Shards.MAX_SHARD_IMAGES);
    assertThat(largest.images(999_999))
        .isEqualTo(new Range(9_999_990_000_000L, Shards.MAX_SHARD_IMAGES));
  }

  @Test
  void valuesOutOfRange_areAllReported() {
    assertThatThrownBy(() -> new Shards(0, 1, Shards.MAX_SHARD_IMAGES + 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("--shard-images 10000001: expected 1 to 10000000");
    assertThat(Shards.problems(0, 0, 0))
        .containsExactly(
            "--count 0: expected 1 to 9223372036854775807",
            "--shard-images 0: expected 1 to 10000000");
    assertThat(Shards.problems(-5, 6, -1)).hasSize(2);
    assertThat(new Shards(0, 1, Shards.MAX_SHARD_IMAGES).number()).isEqualTo(1);
  }
}
