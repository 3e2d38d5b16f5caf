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
import org.jspecify.annotations.Nullable;

/** Networks and optimisers to and from a checkpoint's named tensors. */
final class Tensors {

  private static final String GENERATOR = "generator.";
  private static final String AVERAGE = "average.generator.";
  private static final String DISCRIMINATOR = "discriminator.";
  private static final String MOMENTS = "adam.";

  private Tensors() {}

  static Map<String, Tensor> of(
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam,
      @Nullable Generator average) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    put(tensors, GENERATOR, arrays(generator));
    put(tensors, DISCRIMINATOR, arrays(discriminator));
    put(tensors, MOMENTS + GENERATOR, generatorAdam.moments());
    put(tensors, MOMENTS + DISCRIMINATOR, discriminatorAdam.moments());
    if (average != null) {
      put(tensors, AVERAGE, arrays(average));
    }
    return tensors;
  }

  /**
   * Gives both networks their weights, and both optimisers their moments.
   *
   * @throws IOException a tensor is missing or of another shape
   */
  static void restore(
      Map<String, Tensor> tensors,
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam)
      throws IOException {
    take(tensors, GENERATOR, arrays(generator));
    take(tensors, DISCRIMINATOR, arrays(discriminator));
    take(tensors, MOMENTS + GENERATOR, generatorAdam.moments());
    take(tensors, MOMENTS + DISCRIMINATOR, discriminatorAdam.moments());
  }

  /** Gives {@code average} the averaged weights; as {@link #restore}. */
  static void restoreAverage(Map<String, Tensor> tensors, Generator average) throws IOException {
    take(tensors, AVERAGE, arrays(average));
  }

  /** Gives a generator the weights to publish: the averaged ones where there are any. */
  static void restorePublished(Map<String, Tensor> tensors, Generator generator)
      throws IOException {
    boolean averaged = tensors.keySet().stream().anyMatch(name -> name.startsWith(AVERAGE));
    take(tensors, averaged ? AVERAGE : GENERATOR, arrays(generator));
  }

  private static void take(Map<String, Tensor> tensors, String prefix, Map<String, NDArray> arrays)
      throws IOException {
    for (Map.Entry<String, NDArray> entry : arrays.entrySet()) {
      Tensor tensor = tensors.get(prefix + entry.getKey());
      NDArray array = entry.getValue();
      if (tensor == null || !Arrays.equals(tensor.shape(), array.getShape().getShape())) {
        throw new IOException(
            "the checkpoint has %s for %s; expected shape %s"
                .formatted(
                    tensor == null ? "nothing" : "shape " + Arrays.toString(tensor.shape()),
                    prefix + entry.getKey(),
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
