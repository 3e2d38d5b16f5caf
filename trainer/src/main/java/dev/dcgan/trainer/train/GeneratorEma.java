package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.dcgan.trainer.gan.Architecture;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.List;

/**
 * A generator whose weights are the exponential moving average (EMA) of another generator's (Yazıcı
 * et al. 2019). Batch normalization's statistics are averaged too, because the newest statistics
 * would not match averaged weights.
 */
final class GeneratorEma {

  private final Generator ema;
  private final float decay;

  /** Starts with the current weights of {@code generator}. */
  GeneratorEma(
      NDManager manager,
      Architecture architecture,
      Generator generator,
      float decay,
      boolean nativeOperators) {
    this.decay = decay;
    ema = new Generator(manager, architecture, 0, nativeOperators);
    copy(generator.trainable(), ema.trainable());
    copy(generator.statistics(), ema.statistics());
  }

  /**
   * {@code average(targets, sources, step)}: target = d * target + (1 - d) * source after the
   * generator's update number {@code step}, from 1; returns d, scalar.
   *
   * <p>d is min(decay, (1 + step) / (10 + step)): without this warm-up the initial random weights
   * would stay in the average for epochs.
   */
  Function function() {
    return new Function(
        "average",
        List.of("targets: List[Tensor]", "sources: List[Tensor]", "step: Tensor"),
        """
        decay = torch.div(torch.add(step, 1), torch.add(step, 10))
        decay = torch.clamp_max(decay, %s)
        differences = torch._foreach_sub(sources, targets)
        torch._foreach_mul_(differences, torch.rsub(decay, 1))
        torch._foreach_add_(targets, differences)
        return decay"""
            .formatted((double) decay));
  }

  Generator generator() {
    return ema;
  }

  private static void copy(NDList from, NDList to) {
    for (int i = 0; i < from.size(); i++) {
      NDArray target = to.get(i);
      // Not copyTo: PyTorch prints a deprecation warning for it.
      target.set(new NDIndex("..."), from.get(i));
    }
  }
}
