package dev.dcgan.sampler.core;

import dev.dcgan.latent.Latents;
import java.util.List;

/** The latents that a request is for, by index. Immutable. */
@FunctionalInterface
public interface LatentSource {

  /** Writes latent {@code index} to {@code z[offset..offset + size)}. */
  void fill(long index, float[] z, int offset, int size);

  /** Latents [first, first + count), one after the other: (count, size). */
  default float[] latents(long first, int count, int size) {
    float[] z = new float[count * size];
    for (int i = 0; i < count; i++) {
      fill(first + i, z, i * size, size);
    }
    return z;
  }

  /** The latents of a seed, by the latent sampling scheme, times the temperature. */
  static LatentSource ofSeed(long seed, float temperature) {
    if (temperature == 1) {
      return (index, z, offset, size) -> Latents.fill(seed, index, z, offset, size);
    }
    return (index, z, offset, size) -> {
      Latents.fill(seed, index, z, offset, size);
      for (int i = offset; i < offset + size; i++) {
        z[i] *= temperature;
      }
    };
  }

  /**
   * The latents [first, first + count) of each seed, seed by seed: index 0 is latent {@code first}
   * of the first seed.
   */
  static LatentSource ofSeeds(List<Long> seeds, long first, long count, float temperature) {
    return (index, z, offset, size) ->
        ofSeed(seeds.get((int) (index / count)), temperature)
            .fill(first + index % count, z, offset, size);
  }

  /** The request's own latents (n, size), which must not be changed any more. */
  static LatentSource of(float[] latents) {
    return (index, z, offset, size) ->
        System.arraycopy(latents, Math.toIntExact(index * size), z, offset, size);
  }

  /**
   * Spherical linear interpolation (Shoemake 1985; used for latents by White 2016) from {@code
   * from}, index 0, to {@code to}, index {@code count - 1}; both ends are exact, bit for bit.
   * Linear where no arc is defined: the two are parallel, or one is zero.
   */
  static LatentSource arc(float[] from, float[] to, long count) {
    double angle = angle(from, to);
    double sine = StrictMath.sin(angle);
    return (index, z, offset, size) -> {
      if (index == 0 || index == count - 1) {
        System.arraycopy(index == 0 ? from : to, 0, z, offset, size);
        return;
      }
      double t = (double) index / (count - 1);
      boolean straight = !(sine >= 1e-6); // NaN: one is zero.
      double a = straight ? 1 - t : StrictMath.sin((1 - t) * angle) / sine;
      double b = straight ? t : StrictMath.sin(t * angle) / sine;
      for (int i = 0; i < size; i++) {
        z[offset + i] = (float) (a * from[i] + b * to[i]);
      }
    };
  }

  private static double angle(float[] a, float[] b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
      aa += (double) a[i] * a[i];
      bb += (double) b[i] * b[i];
    }
    double cosine = dot / Math.sqrt(aa * bb);
    return StrictMath.acos(Math.max(-1, Math.min(1, cosine)));
  }
}
