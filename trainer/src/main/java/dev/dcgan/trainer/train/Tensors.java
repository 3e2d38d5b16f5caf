package dev.dcgan.trainer.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Parameter;
import dev.dcgan.trainer.gan.Discriminator;
import dev.dcgan.trainer.gan.Generator;
import dev.dcgan.trainer.gan.Network;
import dev.dcgan.trainer.torch.HostCopies;
import dev.dcgan.trainer.torch.Tensor;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Networks and optimisers to and from a checkpoint's named tensors. */
final class Tensors {

  private static final String GENERATOR = "generator.";
  private static final String AVERAGE = "average.generator.";
  private static final String DISCRIMINATOR = "discriminator.";
  private static final String MOMENTS = "adam.";

  private Tensors() {}

  /** Every array that a checkpoint holds, in its order. */
  static Map<String, NDArray> arrays(
      Generator generator,
      Adam generatorAdam,
      Discriminator discriminator,
      Adam discriminatorAdam,
      @Nullable Generator average) {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    put(arrays, GENERATOR, arrays(generator));
    put(arrays, DISCRIMINATOR, arrays(discriminator));
    put(arrays, MOMENTS + GENERATOR, generatorAdam.moments());
    put(arrays, MOMENTS + DISCRIMINATOR, discriminatorAdam.moments());
    if (average != null) {
      put(arrays, AVERAGE, arrays(average));
    }
    return arrays;
  }

  /** The arrays as a checkpoint's tensors: no values are copied. */
  static Map<String, Tensor> of(Map<String, NDArray> arrays) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    arrays.forEach((name, array) -> tensors.put(name, Tensor.of(array)));
    return tensors;
  }

  /** The name of an array with a value that is NaN or infinite; empty: there is none. */
  static Optional<String> findNonFinite(NDManager manager, Map<String, NDArray> arrays) {
    try (NDManager scope = manager.newSubManager()) {
      // Both propagate NaN. All are read at once: a GPU is waited for once.
      NDList extremes = new NDList();
      for (NDArray array : arrays.values()) {
        extremes.add(in(scope, array.min()));
        extremes.add(in(scope, array.max()));
      }
      float[] values = HostCopies.floats(NDArrays.stack(extremes));
      int i = 0;
      for (String name : arrays.keySet()) {
        if (!Float.isFinite(values[i]) || !Float.isFinite(values[i + 1])) {
          return Optional.of(name);
        }
        i += 2;
      }
      return Optional.empty();
    }
  }

  private static NDArray in(NDManager scope, NDArray array) {
    array.attach(scope);
    return array;
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
      if (tensor == null || !tensor.fits(array)) {
        throw new IOException(
            "the checkpoint has %s for %s; expected shape %s"
                .formatted(
                    tensor == null ? "nothing" : "shape " + Arrays.toString(tensor.shape()),
                    prefix + entry.getKey(),
                    array.getShape()));
      }
      tensor.copyTo(array);
    }
  }

  private static Map<String, NDArray> arrays(Network network) {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    for (Map.Entry<String, Parameter> entry : network.parameters().entrySet()) {
      arrays.put(entry.getKey(), entry.getValue().getArray());
    }
    return arrays;
  }

  private static void put(Map<String, NDArray> all, String prefix, Map<String, NDArray> arrays) {
    arrays.forEach((name, array) -> all.put(prefix + name, array));
  }
}
