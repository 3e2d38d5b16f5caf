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
 * Adam (Kingma and Ba 2015) over one network's parameters, with moments that a checkpoint can keep,
 * which DJL's own does not offer.
 */
final class Adam {

  private static final float EPSILON = 1e-8f;

  private final float learningRate;
  private final float beta1;
  private final float beta2;
  private final Map<String, NDArray> moments = new LinkedHashMap<>();
  private final NDList means = new NDList();
  private final NDList variances = new NDList();
  private final NDArray step; // Scalar, on the device: nothing waits for it to get there.

  Adam(NDManager manager, Network network, float learningRate, float beta1, float beta2) {
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
   * {@code adam(weights, gradients, means, variances, step)}: moves every weight against its
   * gradient; returns the Euclidean norm of all the gradients together, scalar.
   *
   * <p>By PyTorch's fused kernel: one pass over weight, gradient and moments, where an operator at
   * a time takes a dozen. It reads memory as it lies, so gradients must be contiguous.
   */
  Function function() {
    return new Function(
        "adam",
        List.of(
            "weights: List[Tensor]",
            "gradients: List[Tensor]",
            "means: List[Tensor]",
            "variances: List[Tensor]",
            "step: Tensor"),
        """
        torch.add_(step, 1)
        norm = torch.norm(torch.stack(torch._foreach_norm(gradients)))
        torch._fused_adam_(weights, gradients, means, variances, annotate(List[Tensor], []), [%s], \
        lr=%s, beta1=%s, beta2=%s, weight_decay=0.0, eps=%s, amsgrad=False, maximize=False)
        return norm"""
            .formatted(
                IntStream.range(0, means.size())
                    .mapToObj(i -> "step")
                    .collect(Collectors.joining(", ")),
                learningRate,
                beta1,
                beta2,
                EPSILON));
  }

  /** The first moments, in the order of {@link Network#learned}. */
  NDList means() {
    return means;
  }

  /** The second moments, in the order of {@link Network#learned}. */
  NDList variances() {
    return variances;
  }

  /** The number of updates so far, scalar. */
  NDArray step() {
    return step;
  }

  /** Says how many updates the moments have had: zero of a new one, else a checkpoint's. */
  void setSteps(long steps) {
    Network.assign(step, new float[] {steps}); // Exact to 2^24.
  }

  /**
   * The moments by parameter and kind, for a checkpoint: {@code <parameter>.mean} and {@code
   * .variance}.
   */
  Map<String, NDArray> moments() {
    return moments;
  }
}
