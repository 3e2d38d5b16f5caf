package dev.dcgan.trainer.train;

import dev.dcgan.latent.Latents;
import dev.dcgan.latent.Philox;
import dev.dcgan.trainer.data.DataLoader;
import java.util.Arrays;

/**
 * All random numbers of a run, as functions of the seed and the position in training, so that a
 * checkpoint needs no random state.
 */
record Randomness(long seed) {

  // Random streams. A stream's number never changes, otherwise old runs would not be reproducible.
  private static final long GENERATOR_WEIGHTS = 0;
  private static final long DISCRIMINATOR_WEIGHTS = 1;
  private static final long DISCRIMINATOR_NOISE = 2;
  private static final long GENERATOR_NOISE = 3;
  private static final long ORDER = 4;
  private static final long SAMPLES = 5;
  private static final long MIRRORING = 6;
  private static final long AUGMENTATION = 7;

  long generatorWeights() {
    return key(GENERATOR_WEIGHTS);
  }

  long discriminatorWeights() {
    return key(DISCRIMINATOR_WEIGHTS);
  }

  /**
   * Latents (n, size) of the fakes for discriminator updates, for the image positions from {@code
   * first}.
   */
  float[] discriminatorNoise(long first, int n, int size) {
    return latents(DISCRIMINATOR_NOISE, first, n, size);
  }

  /** Latents (n, size) for generator updates, for the image positions from {@code first}. */
  float[] generatorNoise(long first, int n, int size) {
    return latents(GENERATOR_NOISE, first, n, size);
  }

  /** Latents (n, size) of the sample grids: the same in every epoch, for comparison. */
  float[] sampleLatents(int n, int size) {
    return latents(SAMPLES, 0, n, size);
  }

  /**
   * The random numbers of a run's batches: latents (n, size) for the discriminator's update, then
   * (n, size) for the generator's, then with augmentation {@link DiffAugment#USES} times (n, {@link
   * DiffAugment#VALUES}).
   *
   * @param images the number of images in an epoch
   */
  DataLoader.Noise noise(int size, boolean augmented, int images) {
    return new DataLoader.Noise() {
      @Override
      public int size() {
        return 2 * size + (augmented ? DiffAugment.USES * DiffAugment.VALUES : 0);
      }

      @Override
      public float[] draw(int epoch, int first, int n) {
        long position = (epoch - 1L) * images + first; // images seen before this batch
        float[] noise = Arrays.copyOf(discriminatorNoise(position, n, size), n * size());
        System.arraycopy(generatorNoise(position, n, size), 0, noise, n * size, n * size);
        if (augmented) {
          augmentation(position, n, noise, 2 * n * size);
        }
        return noise;
      }
    };
  }

  /** The shuffled order of an epoch: a permutation of 0..n-1 (Fisher-Yates). */
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

  /**
   * Which images of a batch are mirrored: each with probability 1/2.
   *
   * @param images the number of images in an epoch
   */
  DataLoader.Mirroring mirroring(int images) {
    long key = key(MIRRORING);
    return (epoch, place) -> {
      int[] words = new int[4];
      Philox.block(key, (epoch - 1L) * images + place, 0, words);
      return (words[0] & 1) == 1;
    };
  }

  /** The numbers of a batch's augmentations, uniform in [0, 1), those of each use together. */
  private void augmentation(long first, int n, float[] target, int offset) {
    long key = key(AUGMENTATION);
    int[] words = new int[4];
    for (int i = 0; i < n; i++) {
      for (int value = 0; value < DiffAugment.USES * DiffAugment.VALUES; value++) {
        if (value % 4 == 0) {
          Philox.block(key, first + i, value / 4, words);
        }
        int use = value / DiffAugment.VALUES;
        int place = (use * n + i) * DiffAugment.VALUES + value % DiffAugment.VALUES;
        // 24 bits, the resolution of float32 in [0, 1).
        target[offset + place] = (words[value % 4] >>> 8) * 0x1p-24f;
      }
    }
  }

  private float[] latents(long stream, long first, int n, int size) {
    float[] z = new float[n * size];
    long key = key(stream);
    for (int i = 0; i < n; i++) {
      Latents.fill(key, first + i, z, i * size, size);
    }
    return z;
  }

  /** The seed of a stream: streams must not repeat each other's numbers. */
  private long key(long stream) {
    int[] words = new int[4];
    Philox.block(seed, stream, -1, words);
    return join(words[0], words[1]);
  }

  private static long join(int low, int high) {
    return (low & 0xFFFFFFFFL) | ((long) high << 32);
  }
}
