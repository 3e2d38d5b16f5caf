package dev.dcgan.trainer.gan;

import dev.dcgan.latent.Labels;

/**
 * The vectors that a conditional generator has learned for its classes.
 *
 * @param classes the number of classes
 * @param size the length of each vector
 * @param values (classes, size), row-major
 */
@SuppressWarnings("ArrayRecordComponent") // Instances are never compared.
public record ClassEmbedding(int classes, int size, float[] values) {

  /**
   * Appends to each latent the embedding of its label.
   *
   * @param latents (n, latent size), row-major
   * @param labels (n): labels or {@linkplain Labels#mixture mixtures}
   * @return (n, latent size + size), row-major
   */
  float[] append(float[] latents, long[] labels, int n) {
    if (labels.length != n) {
      throw new IllegalArgumentException(
          "%d labels for %d images of a conditional generator".formatted(labels.length, n));
    }
    int latentSize = latents.length / n;
    int row = latentSize + size;
    float[] all = new float[n * row];
    for (int i = 0; i < n; i++) {
      System.arraycopy(latents, i * latentSize, all, i * row, latentSize);
      embed(labels[i], all, i * row + latentSize);
    }
    return all;
  }

  /**
   * Writes E[from] + (k / 65536) (E[to] - E[from]) for the label {@code from + classes (to +
   * classes k)}, in float32 with each operation rounded, as the exported model computes it.
   */
  private void embed(long label, float[] target, int offset) {
    long most = (long) classes * classes * Labels.MIXTURE_STEPS;
    if (label < 0 || label >= most) {
      throw new IllegalArgumentException("label %d; expected 0 to %d".formatted(label, most - 1));
    }
    int from = (int) (label % classes) * size;
    int to = (int) (label / classes % classes) * size;
    long step = label / classes / classes;
    float share = (float) step / Labels.MIXTURE_STEPS;
    for (int i = 0; i < size; i++) {
      target[offset + i] = values[from + i] + share * (values[to + i] - values[from + i]);
    }
  }
}
