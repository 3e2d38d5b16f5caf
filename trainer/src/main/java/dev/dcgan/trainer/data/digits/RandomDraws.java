package dev.dcgan.trainer.data.digits;

import dev.dcgan.latent.Philox;

/**
 * The random numbers of one picture, in the order drawn; they depend on (seed, index) alone. Not
 * thread-safe.
 */
final class RandomDraws {

  // Keeps these counters apart from the latent law's, which count blocks from 0.
  private static final long DOMAIN = 0x6469676974730000L; // "digits"

  private final long seed;
  private final long index;

  // Mutable state
  private final int[] words = new int[4];
  private long blocks;
  private int used = 4;

  RandomDraws(long seed, long index) {
    this.seed = seed;
    this.index = index;
  }

  /** 32 random bits. */
  int bits() {
    if (used == words.length) {
      Philox.block(seed, DOMAIN + blocks++, index, words);
      used = 0;
    }
    return words[used++];
  }

  /** Uniform in (low, high). */
  double uniform(double low, double high) {
    return low + (high - low) * ((bits() & 0xFFFFFFFFL) + 0.5) * 0x1p-32;
  }

  /** Nearly normal, and never beyond three deviations: the sum of three uniforms. */
  double around(double mean, double deviation) {
    return mean + deviation * (uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1));
  }
}
