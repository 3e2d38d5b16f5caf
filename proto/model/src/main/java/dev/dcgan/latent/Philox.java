package dev.dcgan.latent;

/**
 * Philox4x32-10, the counter-based random function of Salmon et al., "Parallel Random Numbers: As
 * Easy as 1, 2, 3" (SC 2011).
 *
 * <p>A pure function from (64-bit key, 128-bit counter) to four 32-bit words: it has no state, so
 * the values can be computed anywhere and in any order.
 */
public final class Philox {

  private static final int ROUNDS = 10;
  private static final int M0 = 0xD2511F53;
  private static final int M1 = 0xCD9E8D57;
  private static final int W0 = 0x9E3779B9;
  private static final int W1 = 0xBB67AE85;

  private Philox() {}

  /**
   * Fills {@code words[0..3]} for the given key and counter.
   *
   * @param key low word first: k0 = (int) key, k1 = (int) (key >>> 32)
   * @param low the counter's low 64 bits (c0, c1), low word first
   * @param high the counter's high 64 bits (c2, c3), low word first
   */
  public static void block(long key, long low, long high, int[] words) {
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    int c0 = (int) low;
    int c1 = (int) (low >>> 32);
    int c2 = (int) high;
    int c3 = (int) (high >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long p0 = (M0 & 0xFFFFFFFFL) * (c0 & 0xFFFFFFFFL);
      long p1 = (M1 & 0xFFFFFFFFL) * (c2 & 0xFFFFFFFFL);
      c0 = (int) (p1 >>> 32) ^ c1 ^ k0;
      c1 = (int) p1;
      c2 = (int) (p0 >>> 32) ^ c3 ^ k1;
      c3 = (int) p0;
      k0 += W0;
      k1 += W1;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
  }
}
