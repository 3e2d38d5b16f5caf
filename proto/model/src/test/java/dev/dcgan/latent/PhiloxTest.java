package dev.dcgan.latent;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.simple.RandomSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PhiloxTest {

  /** The known answers that Random123 publishes: counter, key, words; each low word first. */
  @ParameterizedTest
  @CsvSource({
    "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e a20bc7c6 6d5451fd",
    "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb 5001e420 24126ea1",
  })
  void block_givesThePublishedAnswers(String counter, String key, String answer) {
    int[] c = words(counter);
    int[] k = words(key);

    assertThat(block(pair(k[0], k[1]), pair(c[0], c[1]), pair(c[2], c[3])))
        .containsExactly(words(answer));
  }

  @Test
  void block_agreesWithCommonsRng() {
    Random random = new Random(1);
    for (int i = 0; i < 1000; i++) {
      long key = random.nextLong();
      long low = random.nextLong();
      long high = random.nextLong();
      assertThat(block(key, low, high))
          .as("key %x, counter %x %x", key, low, high)
          .containsExactly(commonsRng(key, low, high));
    }
  }

  @Test
  void block_agreesWithCommonsRngOverACarry() {
    // commons-rng counts on from low words that are all ones, which moves the high ones.
    assertThat(block(1, 0, 8)).containsExactly(commonsRng(1, 0, 8));
  }

  private static int[] block(long key, long low, long high) {
    int[] words = new int[4];
    Philox.block(key, low, high, words);
    return words;
  }

  private static int[] commonsRng(long key, long low, long high) {
    // It counts up before it draws: the counter must stand one before.
    long before = low - 1;
    long beforeHigh = low == 0 ? high - 1 : high;
    UniformRandomProvider philox =
        RandomSource.PHILOX_4X32.create(
            new int[] {
              (int) key,
              (int) (key >>> 32),
              (int) before,
              (int) (before >>> 32),
              (int) beforeHigh,
              (int) (beforeHigh >>> 32)
            });
    return new int[] {philox.nextInt(), philox.nextInt(), philox.nextInt(), philox.nextInt()};
  }

  private static int[] words(String hex) {
    String[] words = hex.split(" ", -1);
    int[] values = new int[words.length];
    for (int i = 0; i < words.length; i++) {
      values[i] = Integer.parseUnsignedInt(words[i], 16);
    }
    return values;
  }

  private static long pair(int lowWord, int highWord) {
    return (highWord & 0xFFFFFFFFL) << 32 | (lowWord & 0xFFFFFFFFL);
  }
}
