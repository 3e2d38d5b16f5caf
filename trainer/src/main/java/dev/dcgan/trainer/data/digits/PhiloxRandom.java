package dev.dcgan.trainer.data.digits;

import dev.dcgan.latent.Philox;

/** A random number generator for one image, determined by (seed, index) alone. Not thread-safe. */
final class PhiloxRandom {

  // Keeps these counters apart from those of the latents, which count blocks from 0.
  private static final long DOMAIN = 0x6469676974730000L; // "digits"

  private final long seed;
  private final long index;

  // Mutable state
  private final int[] words = new int[4];
  private long blocks;
  private int used = 4;

  PhiloxRandom(long seed, long index) {
    this.seed = seed;
    this.index = index;
  }

  /** 32 random bits. */
  int nextBits() {
    if (used == words.length) {
      Philox.block(seed, DOMAIN + blocks++, index, words);
      used = 0;
    }
    return words[used++];
  }

  /** Uniform in (low, high). */
  double uniform(double low, double high) {
    return low + (high - low) * ((nextBits() & 0xFFFFFFFFL) + 0.5) * 0x1p-32;
  }

  /** Approximately normal and within three standard deviations: the sum of three uniforms. */
  double approximatelyNormal(double mean, double deviation) {
    return mean + deviation * (uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1));
  }
}
