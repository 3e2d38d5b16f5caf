package dev.dcgan.latent;

/**
 * The label scheme: it maps (seed, index) to the label of image {@code index} in the sequence of
 * {@code seed}, so that labels are distributed as given counts are.
 *
 * <p>The 64-bit word u = w0 + 2^32 w1 is from Philox4x32-10 with key = seed and counter = (2^64 -
 * 1, index), a block that no latent uses. With the counts c0, c1, ... and their sum n, the label is
 * the smallest k for which floor(u n / 2^64) is below c0 + ... + ck.
 *
 * <p>A generator's input {@code label} may also name a mixture of two classes, as one number:
 * {@code from + classes (to + classes k)} is the class embedding at k / 65536 of the way from
 * {@code from} to {@code to}. A label below {@code classes} is that class itself.
 */
public final class Labels {

  /** The scheme's name in a manifest. A different scheme must have a different name. */
  public static final String SCHEME = "philox4x32-10/counts/1";

  /** The steps from one class to another in a mixture. */
  public static final int MIXTURE_STEPS = 1 << 16;

  private static final long BLOCK = -1;

  private Labels() {}

  /**
   * Draws the label of (seed, index). All 64-bit seeds and indices are valid.
   *
   * @param upTo the cumulative counts c0, c0 + c1, ..., ascending and below 2^63
   * @return 0 to {@code upTo.length - 1}
   */
  public static int draw(long seed, long index, long[] upTo) {
    int[] words = new int[4];
    Philox.block(seed, BLOCK, index, words);
    long u = (words[0] & 0xFFFFFFFFL) | ((long) words[1] << 32);
    long n = upTo[upTo.length - 1];
    // The high word of the unsigned product: multiplyHigh takes u as signed.
    long at = Math.multiplyHigh(u, n) + (u < 0 ? n : 0);
    int low = 0;
    int high = upTo.length - 1;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (at < upTo[middle]) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  /**
   * The number that names the mixture of two classes.
   *
   * @param step 0 ({@code from} alone) to {@link #MIXTURE_STEPS} ({@code to} alone)
   * @param classes the number of the model's classes
   */
  public static long mixture(int from, int to, int step, int classes) {
    if (step == 0 || from == to) {
      return from;
    }
    if (step == MIXTURE_STEPS) {
      return to;
    }
    return from + classes * (to + (long) classes * step);
  }
}
