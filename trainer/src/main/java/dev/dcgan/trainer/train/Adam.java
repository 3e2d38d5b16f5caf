package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.gan.Network;
import dev.dcgan.trainer.torch.TorchScript.Function;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The Adam optimizer (Kingma and Ba 2015) for one network. DJL's Adam keeps its moments private, so
 * they could not be saved in checkpoints.
 */
final class Adam {

  private static final float EPSILON = 1e-8f;

  private final float learningRate;
  private final float beta1;
  private final float beta2;
  private final long steps;
  private final double decaySteps;
  private final Map<String, NDArray> moments = new LinkedHashMap<>();
  private final NDList means = new NDList();
  private final NDList variances = new NDList();
  private final NDArray step; // scalar, on the device, so that the host does not wait for it

  /** With a constant learning rate. */
  Adam(NDManager manager, Network network, float learningRate, float beta1, float beta2) {
    this(manager, network, learningRate, beta1, beta2, 0, 0);
  }

  /**
   * With a learning rate that falls linearly to 0.
   *
   * @param steps updates in the whole training
   * @param decaySteps how many of them, at the end, have a falling rate; 0: none
   */
  Adam(
      NDManager manager,
      Network network,
      float learningRate,
      float beta1,
      float beta2,
      long steps,
      double decaySteps) {
    this.steps = steps;
    this.decaySteps = decaySteps;
    this.learningRate = learningRate;
    this.beta1 = beta1;
    this.beta2 = beta2;
    for (Map.Entry<String, Parameter> entry : network.parameters().entrySet()) {
      if (entry.getValue().requiresGradient()) {
        Shape shape = entry.getValue().getArray().getShape();
        means.add(manager.zeros(shape));
        variances.add(manager.zeros(shape));
        moments.put(entry.getKey() + ".mean", means.get(means.size() - 1));
        moments.put(entry.getKey() + ".variance", variances.get(variances.size() - 1));
      }
    }
    step = manager.zeros(new Shape());
  }

  /**
   * {@code name(weights, gradients, means, variances, step)}: updates the weights; returns the
   * Euclidean norm of all gradients, scalar.
   *
   * <p>It uses PyTorch's fused kernel: one pass over weights, gradients and moments instead of a
   * dozen. The kernel ignores strides, so gradients must be contiguous.
   */
  Function function(String name) {
    return new Function(
        name,
        List.of(
            "weights: List[Tensor]",
            "gradients: List[Tensor]",
            "means: List[Tensor]",
            "variances: List[Tensor]",
            "step: Tensor"),
        """
        torch.add_(step, 1)
        %snorm = torch.norm(torch.stack(torch._foreach_norm(gradients)))
        torch._fused_adam_(weights, gradients, means, variances, annotate(List[Tensor], []), [%s], \
        lr=%s, beta1=%s, beta2=%s, weight_decay=0.0, eps=%s, amsgrad=False, maximize=False)
        return norm"""
            .formatted(
                decaySteps == 0 ? "" : "rate = " + rate() + "\n",
                IntStream.range(0, means.size())
                    .mapToObj(i -> "step")
                    .collect(Collectors.joining(", ")),
                decaySteps == 0 ? learningRate : "rate",
                beta1,
                beta2,
                EPSILON));
  }

  /** The learning rate of the current update, whose number is in {@code step}, from 1. */
  private String rate() {
    return "torch.mul(torch.clamp(torch.div(torch.rsub(step, %s), %s), 0, 1), %s)"
        .formatted((double) (steps + 1), decaySteps, (double) learningRate);
  }

  /** The first moments, in the order of {@link Network#trainable}. */
  NDList means() {
    return means;
  }

  /** The second moments, in the order of {@link Network#trainable}. */
  NDList variances() {
    return variances;
  }

  /** The number of updates so far, scalar. */
  NDArray step() {
    return step;
  }

  /** Sets the number of updates so far, from a checkpoint. */
  void setSteps(long steps) {
    Network.assign(step, new float[] {steps}); // exact up to 2^24
  }

  /**
   * The moments by their names in checkpoints: {@code <parameter>.mean} and {@code
   * <parameter>.variance}.
   */
  Map<String, NDArray> moments() {
    return moments;
  }
}
