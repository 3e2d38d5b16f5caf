package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.net.Discriminator;
import dev.dcgan.trainer.net.Generator;
import dev.dcgan.trainer.net.Network;
import dev.dcgan.trainer.train.Checkpoint.Tensor;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Networks and optimisers to and from a checkpoint's named tensors. */
final class Tensors {

  private static final String GENERATOR = "generator.";
  private static final String DISCRIMINATOR = "discriminator.";
  private static final String MOMENTS = "adam.";

  private Tensors() {}

  static Map<String, Tensor> of(
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    put(tensors, GENERATOR, arrays(generator));
    put(tensors, DISCRIMINATOR, arrays(discriminator));
    put(tensors, MOMENTS + GENERATOR, generatorAdam.moments());
    put(tensors, MOMENTS + DISCRIMINATOR, discriminatorAdam.moments());
    return tensors;
  }

  /**
   * Gives the generator the weights of a checkpoint.
   *
   * @throws IOException a tensor is missing or of another shape
   */
  static void restore(Generator generator, Map<String, Tensor> tensors) throws IOException {
    for (Map.Entry<String, NDArray> entry : arrays(generator).entrySet()) {
      Tensor tensor = tensors.get(GENERATOR + entry.getKey());
      NDArray array = entry.getValue();
      if (tensor == null || !Arrays.equals(tensor.shape(), array.getShape().getShape())) {
        throw new IOException(
            "the checkpoint has %s for %s; expected shape %s"
                .formatted(
                    tensor == null ? "nothing" : "shape " + Arrays.toString(tensor.shape()),
                    GENERATOR + entry.getKey(),
                    array.getShape()));
      }
      Network.assign(array, tensor.values());
    }
  }

  private static Map<String, NDArray> arrays(Network network) {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    for (Map.Entry<String, Parameter> entry : network.parameters().entrySet()) {
      arrays.put(entry.getKey(), entry.getValue().getArray());
    }
    return arrays;
  }

  private static void put(Map<String, Tensor> tensors, String prefix, Map<String, NDArray> arrays) {
    arrays.forEach(
        (name, array) ->
            tensors.put(
                prefix + name, new Tensor(array.getShape().getShape(), array.toFloatArray())));
  }
}
