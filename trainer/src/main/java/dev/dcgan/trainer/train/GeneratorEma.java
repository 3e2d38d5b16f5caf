package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.net.Architecture;
import dev.dcgan.trainer.net.Generator;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A generator whose weights are the exponential moving average of another's (Yazıcı et al. 2019),
 * and so are the statistics of batch normalisation: the newest would not fit older weights.
 */
final class GeneratorEma {

  private record Pair(NDArray from, NDArray to) {}

  private final Generator average;
  private final float decay;
  private final List<Pair> pairs = new ArrayList<>();

  /** Starts from the weights that {@code generator} has now. */
  GeneratorEma(
      NDManager manager,
      Architecture architecture,
      Generator generator,
      float decay,
      boolean plain) {
    this.decay = decay;
    average = new Generator(manager, architecture, 0, plain);
    average.setLearning(false);
    var targets = average.parameters();
    generator
        .parameters()
        .forEach(
            (name, parameter) -> {
              Parameter target = Objects.requireNonNull(targets.get(name), name);
              pairs.add(new Pair(parameter.getArray(), target.getArray()));
            });
    pairs.forEach(GeneratorEma::copy);
  }

  /**
   * After step {@code step} of the generator's, from 1: average = d * average + (1 - d) * weight.
   *
   * <p>d is the decay, but less in the first steps, (1 + step) / (10 + step): else the first
   * weights, which are noise, would stay in the average for epochs.
   */
  void update(long step) {
    float d = Math.min(decay, (1f + step) / (10f + step));
    for (Pair pair : pairs) {
      try (NDArray difference = pair.from.sub(pair.to)) {
        difference.muli(1 - d);
        pair.to.addi(difference);
      }
    }
  }

  Generator generator() {
    return average;
  }

  private static void copy(Pair pair) {
    // Not copyTo: that runs in a mode which PyTorch warns of as deprecated.
    pair.to.set(new NDIndex("..."), pair.from);
  }
}
