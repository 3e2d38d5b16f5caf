package dev.dcgan.trainer.train;

import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.List;

/**
 * The GAN losses of Goodfellow et al. 2014 on logits, non-saturating for the generator, as
 * TorchScript functions.
 *
 * <p>The binary cross-entropy of a logit x is softplus(-x) for target 1 and softplus(x) for target
 * 0.
 */
final class GanLoss {

  private GanLoss() {}

  /**
   * {@code discriminator_loss(real, fake)}, scalar: the mean of the cross-entropies of real logits
   * with target 1 - smoothing (one-sided label smoothing) and of fake logits with target 0.
   */
  static Function discriminator(float smoothing) {
    // For target 1 - s: (1 - s) softplus(-x) + s softplus(x), and softplus(x) = softplus(-x) + x.
    String smoothed =
        smoothing > 0
            ? "on_real = torch.add(on_real, torch.mul(torch.mean(real), %s))\n"
                .formatted((double) smoothing)
            : "";
    return Function.ofTensors(
        "discriminator_loss",
        List.of("real", "fake"),
        """
        on_real = torch.mean(torch.softplus(torch.neg(real)))
        %son_fake = torch.mean(torch.softplus(fake))
        return torch.div(torch.add(on_fake, on_real), 2)"""
            .formatted(smoothed));
  }

  /** {@code generator_loss(fake)}, scalar: the cross-entropy of fake logits with target 1. */
  static Function generator() {
    return Function.ofTensors(
        "generator_loss", List.of("fake"), "return torch.mean(torch.softplus(torch.neg(fake)))");
  }

  /** {@code score(logits)}, scalar: the mean probability that images are real, D(x) or D(G(z)). */
  static Function score() {
    return Function.ofTensors(
        "score", List.of("logits"), "return torch.mean(torch.sigmoid(torch.detach(logits)))");
  }
}
