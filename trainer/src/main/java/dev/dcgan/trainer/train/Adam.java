package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.net.Network;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Adam (Kingma and Ba 2015) over one network's parameters, with moments that a checkpoint can keep,
 * which DJL's own does not offer.
 */
final class Adam {

  private static final float EPSILON = 1e-8f;

  /** A learned parameter and its moments, all of one shape. */
  private record Slot(NDArray weight, NDArray mean, NDArray variance) {}

  private final float learningRate;
  private final float beta1;
  private final float beta2;
  private final Map<String, Slot> slots = new LinkedHashMap<>();

  // Mutable state; the moments are too.
  private long steps;

  Adam(NDManager manager, Network network, float learningRate, float beta1, float beta2) {
    this.learningRate = learningRate;
    this.beta1 = beta1;
    this.beta2 = beta2;
    for (Map.Entry<String, Parameter> entry : network.parameters().entrySet()) {
      if (entry.getValue().requiresGradient()) {
        NDArray weight = entry.getValue().getArray();
        slots.put(
            entry.getKey(),
            new Slot(weight, manager.zeros(weight.getShape()), manager.zeros(weight.getShape())));
      }
    }
  }

  /**
   * Moves every parameter against its gradient, and clears the gradients.
   *
   * @return the Euclidean norm of all the gradients together, scalar; the caller's to close
   */
  NDArray update() {
    steps++;
    NDList squares = new NDList();
    double correction1 = 1 - Math.pow(beta1, (double) steps);
    double correction2 = 1 - Math.pow(beta2, (double) steps);
    // The engine's kernel takes the corrections folded into the rate. The paper's update,
    //   w -= rate * (m / correction1) / (sqrt(v / correction2) + epsilon),
    // is that with epsilon * sqrt(correction2) in epsilon's place.
    float rate = (float) (learningRate * Math.sqrt(correction2) / correction1);
    float epsilon = (float) (EPSILON * Math.sqrt(correction2));
    for (Slot slot : slots.values()) {
      try (NDArray gradient = slot.weight.getGradient()) {
        squares.add(squaredNorm(gradient)); // Before the update, which clears the gradient.
        slot.weight
            .getNDArrayInternal()
            .adamUpdate(
                new NDList(slot.weight, gradient, slot.mean, slot.variance),
                new NDList(slot.weight),
                learningRate,
                rate,
                0, // weight decay
                1, // gradient scale
                -1, // no clipping
                beta1,
                beta2,
                epsilon,
                true,
                false);
      }
    }
    try (squares;
        NDArray all = NDArrays.stack(squares);
        NDArray sum = all.sum()) {
      return sum.sqrt();
    }
  }

  private static NDArray squaredNorm(NDArray gradient) {
    try (NDArray squares = gradient.square()) {
      return squares.sum();
    }
  }

  /** Says how many updates the moments have had: zero of a new one, else a checkpoint's. */
  void setSteps(long steps) {
    this.steps = steps;
  }

  /**
   * The moments by parameter and kind, for a checkpoint: {@code <parameter>.mean} and {@code
   * .variance}.
   */
  Map<String, NDArray> moments() {
    Map<String, NDArray> moments = new LinkedHashMap<>();
    slots.forEach(
        (name, slot) -> {
          moments.put(name + ".mean", slot.mean);
          moments.put(name + ".variance", slot.variance);
        });
    return moments;
  }
}
