package dev.dcgan.trainer.train;

import dev.dcgan.latent.Latents;
import dev.dcgan.latent.Philox;
import dev.dcgan.trainer.data.Batches;
import java.util.Arrays;

/**
 * Everything random in a run, as functions of the run's seed and of the position in it: there is no
 * hidden state that a checkpoint would have to keep.
 */
record Randomness(long seed) {

  // One number for each use; what a number stands for never changes, or old runs would not repeat.
  private static final long GENERATOR_WEIGHTS = 0;
  private static final long DISCRIMINATOR_WEIGHTS = 1;
  private static final long DISCRIMINATOR_NOISE = 2;
  private static final long GENERATOR_NOISE = 3;
  private static final long ORDER = 4;
  private static final long SHEET = 5;

  long generatorWeights() {
    return key(GENERATOR_WEIGHTS);
  }

  long discriminatorWeights() {
    return key(DISCRIMINATOR_WEIGHTS);
  }

  /**
   * Latents (n, size) that the discriminator's step turns into fakes, for the images from {@code
   * first}.
   */
  float[] discriminatorNoise(long first, int n, int size) {
    return latents(DISCRIMINATOR_NOISE, first, n, size);
  }

  /** Latents (n, size) of the generator's own step, for the images from {@code first}. */
  float[] generatorNoise(long first, int n, int size) {
    return latents(GENERATOR_NOISE, first, n, size);
  }

  /**
   * Latents (n, size) of the sample sheets: the same in every epoch, so that the eye can compare.
   */
  float[] sheet(int n, int size) {
    return latents(SHEET, 0, n, size);
  }

  /**
   * The noise of a run's batches: latents (n, size) of the discriminator's step, then latents (n,
   * size) of the generator's.
   *
   * @param images in an epoch
   */
  Batches.Noise noise(int size, int images) {
    return new Batches.Noise() {
      @Override
      public int size() {
        return 2 * size;
      }

      @Override
      public float[] draw(int epoch, int first, int n) {
        long position = (epoch - 1L) * images + first; // Images seen before this batch.
        float[] noise = Arrays.copyOf(discriminatorNoise(position, n, size), 2 * n * size);
        System.arraycopy(generatorNoise(position, n, size), 0, noise, n * size, n * size);
        return noise;
      }
    };
  }

  /** The order in which an epoch visits the data: a permutation of 0..n-1 (Fisher-Yates). */
  int[] order(int epoch, int n) {
    int[] order = new int[n];
    for (int i = 0; i < n; i++) {
      order[i] = i;
    }
    long key = key(ORDER);
    int[] words = new int[4];
    for (int i = n - 1; i > 0; i--) {
      Philox.block(key, i, epoch, words);
      // 64 random bits over at most 2^31 values: the modulo's bias is below 2^-33.
      int j = (int) Long.remainderUnsigned(join(words[0], words[1]), i + 1L);
      int swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
    return order;
  }

  private float[] latents(long stream, long first, int n, int size) {
    float[] z = new float[n * size];
    long key = key(stream);
    for (int i = 0; i < n; i++) {
      Latents.fill(key, first + i, z, i * size, size);
    }
    return z;
  }

  /** A seed of its own for each stream, so that none repeats another's draws. */
  private long key(long stream) {
    int[] words = new int[4];
    Philox.block(seed, stream, -1, words);
    return join(words[0], words[1]);
  }

  private static long join(int low, int high) {
    return (low & 0xFFFFFFFFL) | ((long) high << 32);
  }
}
