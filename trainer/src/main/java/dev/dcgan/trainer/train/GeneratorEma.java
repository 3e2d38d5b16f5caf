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
 * A generator whose weights are the exponential moving average of another's (Yazıcı et al. 2019),
 * and so are the statistics of batch normalisation: the newest would not fit older weights.
 */
final class GeneratorEma {

  private final Generator average;
  private final float decay;

  /** Starts from the weights that {@code generator} has now. */
  GeneratorEma(
      NDManager manager,
      Architecture architecture,
      Generator generator,
      float decay,
      boolean plain) {
    this.decay = decay;
    average = new Generator(manager, architecture, 0, plain);
    copy(generator.learned(), average.learned());
    copy(generator.statistics(), average.statistics());
  }

  /**
   * {@code average(targets, sources, step)} after step {@code step} of the generator's, from 1:
   * target = d * target + (1 - d) * source; returns d, scalar.
   *
   * <p>d is the decay, but less in the first steps, (1 + step) / (10 + step): else the first
   * weights, which are noise, would stay in the average for epochs.
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
    return average;
  }

  private static void copy(NDList from, NDList to) {
    for (int i = 0; i < from.size(); i++) {
      NDArray target = to.get(i);
      // Not copyTo: that runs in a mode which PyTorch warns of as deprecated.
      target.set(new NDIndex("..."), from.get(i));
    }
  }
}
