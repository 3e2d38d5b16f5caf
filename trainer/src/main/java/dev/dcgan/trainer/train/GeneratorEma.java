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
 * A generator whose weights are the exponential moving average of another's (Yazıcı et al. 2019);
 * the running statistics of batch normalisation are averages already and are copied.
 */
final class GeneratorEma {

  private record Pair(NDArray from, NDArray to, boolean learned) {}

  private final Generator average;
  private final float decay;
  private final List<Pair> pairs = new ArrayList<>();

  /** Starts from the weights that {@code generator} has now. */
  GeneratorEma(NDManager manager, Architecture architecture, Generator generator, float decay) {
    this.decay = decay;
    average = new Generator(manager, architecture, 0);
    average.setLearning(false);
    var targets = average.parameters();
    generator
        .parameters()
        .forEach(
            (name, parameter) -> {
              Parameter target = Objects.requireNonNull(targets.get(name), name);
              pairs.add(
                  new Pair(parameter.getArray(), target.getArray(), parameter.requiresGradient()));
            });
    pairs.forEach(GeneratorEma::copy);
  }

  /** After a step of the generator's: average = decay * average + (1 - decay) * weight. */
  void update() {
    for (Pair pair : pairs) {
      if (pair.learned) {
        try (NDArray difference = pair.from.sub(pair.to)) {
          difference.muli(1 - decay);
          pair.to.addi(difference);
        }
      } else {
        copy(pair);
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
