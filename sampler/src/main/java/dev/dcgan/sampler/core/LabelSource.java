package dev.dcgan.sampler.core;

import dev.dcgan.latent.Labels;
import dev.dcgan.sampler.models.LabelChoice;
import dev.dcgan.sampler.scheduling.Network;
import java.util.Arrays;
import java.util.List;

/**
 * The labels that a request is for, by index: what a generator takes as {@code label}. Immutable.
 */
@FunctionalInterface
public interface LabelSource {

  /** Of a model without classes. */
  LabelSource NONE = (first, count) -> Network.NO_LABELS;

  /** Labels [first, first + count); none if the model has no classes. */
  long[] labels(long first, int count);

  /** The labels of the images [first, first + count) of each seed, seed by seed. */
  static LabelSource ofSeeds(List<Long> seeds, long first, long count, LabelChoice choice) {
    if (!choice.hasClasses()) {
      return NONE;
    }
    return (from, n) -> {
      long[] labels = new long[n];
      for (int i = 0; i < n; i++) {
        long at = from + i;
        labels[i] = choice.label(seeds.get((int) (at / count)), first + at % count);
      }
      return labels;
    };
  }

  /** The request's own labels: one for all, or one for each image; must not be changed any more. */
  static LabelSource of(long[] labels) {
    if (labels.length == 1) {
      return (first, count) -> {
        long[] same = new long[count];
        Arrays.fill(same, labels[0]);
        return same;
      };
    }
    return (first, count) ->
        Arrays.copyOfRange(labels, Math.toIntExact(first), Math.toIntExact(first + count));
  }

  /**
   * Linear interpolation of the class from {@code from}, index 0, to {@code to}, index {@code count
   * - 1}; both ends are exact.
   *
   * @param classes of the model
   */
  static LabelSource between(int from, int to, long count, int classes) {
    return (first, n) -> {
      long[] labels = new long[n];
      for (int i = 0; i < n; i++) {
        double step = (double) Labels.MIXTURE_STEPS * (first + i) / (count - 1);
        labels[i] = Labels.mixture(from, to, (int) Math.round(step), classes);
      }
      return labels;
    };
  }
}
