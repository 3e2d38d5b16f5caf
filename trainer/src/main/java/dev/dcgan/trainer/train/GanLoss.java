package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;

/**
 * The losses of Goodfellow et al. 2014 on logits, with the non-saturating one for the generator.
 *
 * <p>Binary cross-entropy of a logit x is softplus(-x) against label 1 and softplus(x) against
 * label 0.
 */
final class GanLoss {

  private GanLoss() {}

  /**
   * D's loss, scalar: the mean of the cross-entropies of reals against 1 - smoothing and fakes
   * against 0.
   */
  static NDArray discriminator(NDArray realLogits, NDArray fakeLogits, float smoothing) {
    NDArray real = against1(realLogits);
    if (smoothing > 0) {
      // Against 1 - s: (1 - s) softplus(-x) + s softplus(x), and softplus(x) = softplus(-x) + x.
      real = real.add(realLogits.mean().mul(smoothing));
    }
    return against0(fakeLogits).add(real).div(2);
  }

  /** G's loss, scalar: the cross-entropy of its fakes against 1. */
  static NDArray generator(NDArray fakeLogits) {
    return against1(fakeLogits);
  }

  /** The mean probability of "real", scalar: D(x) or D(G(z)). */
  static NDArray score(NDArray logits) {
    return logits.getNDArrayInternal().sigmoid().mean();
  }

  private static NDArray against1(NDArray logits) {
    return logits.neg().getNDArrayInternal().softPlus().mean();
  }

  private static NDArray against0(NDArray logits) {
    return logits.getNDArrayInternal().softPlus().mean();
  }
}
