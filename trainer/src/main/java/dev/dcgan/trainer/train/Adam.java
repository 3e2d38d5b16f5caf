package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
import dev.dcgan.trainer.net.Network;
import dev.dcgan.trainer.net.TorchScript;
import java.util.ArrayList;
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

  /** A learned parameter and its moments, all of one shape. */
  private record Slot(NDArray weight, NDArray mean, NDArray variance) {}

  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final NDArray step; // Scalar, on the device: nothing waits for it to get there.
  private final PtSymbolBlock update;

  Adam(NDManager manager, Network network, float learningRate, float beta1, float beta2) {
    for (Map.Entry<String, Parameter> entry : network.parameters().entrySet()) {
      if (entry.getValue().requiresGradient()) {
        NDArray weight = entry.getValue().getArray();
        slots.put(
            entry.getKey(),
            new Slot(weight, manager.zeros(weight.getShape()), manager.zeros(weight.getShape())));
      }
    }
    step = manager.zeros(new Shape());
    update = script(manager, slots.size(), learningRate, beta1, beta2);
  }

  /**
   * PyTorch's fused kernel: one pass over weight, gradient and moments, where an operator at a time
   * takes a dozen. Of the step and then weight, gradient, mean and variance of each parameter.
   */
  private static PtSymbolBlock script(
      NDManager manager, int parameters, float learningRate, float beta1, float beta2) {
    List<String> arguments = new ArrayList<>(List.of("step"));
    IntStream.range(0, parameters)
        .forEach(i -> arguments.addAll(List.of("w" + i, "g" + i, "m" + i, "v" + i)));
    String body =
        """
        torch.add_(step, 1)
        norm = torch.norm(torch.stack([%s]))
        gradients = [%s]
        torch._fused_adam_([%s], gradients, [%s], [%s], annotate(List[Tensor], []), [%s], \
        lr=%s, beta1=%s, beta2=%s, weight_decay=0.0, eps=%s, amsgrad=False, maximize=False)
        %s
        return norm"""
            .formatted(
                each(parameters, "torch.norm(g%d)", ", "),
                each(parameters, "g%d", ", "),
                each(parameters, "w%d", ", "),
                each(parameters, "m%d", ", "),
                each(parameters, "v%d", ", "),
                each(parameters, "step", ", "),
                learningRate,
                beta1,
                beta2,
                EPSILON,
                // By the list: the compiler drops an operator whose lists nothing uses afterwards.
                each(parameters, "torch.zero_(gradients[%d])", "\n"));
    return TorchScript.load(manager, arguments, body);
  }

  private static String each(int parameters, String format, String separator) {
    return IntStream.range(0, parameters)
        .mapToObj(format::formatted)
        .collect(Collectors.joining(separator));
  }

  /**
   * Moves every parameter against its gradient, and clears the gradients.
   *
   * @return the Euclidean norm of all the gradients together, scalar; the caller's to close
   */
  NDArray update() {
    NDList arguments = new NDList(step);
    NDList gradients = new NDList();
    for (Slot slot : slots.values()) {
      NDArray gradient = slot.weight.getGradient();
      gradients.add(gradient);
      arguments.addAll(new NDList(slot.weight, gradient, slot.mean, slot.variance));
    }
    try (gradients) {
      return IValueUtils.forward(update, arguments, false).singletonOrThrow();
    }
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
    Map<String, NDArray> moments = new LinkedHashMap<>();
    slots.forEach(
        (name, slot) -> {
          moments.put(name + ".mean", slot.mean);
          moments.put(name + ".variance", slot.variance);
        });
    return moments;
  }
}
